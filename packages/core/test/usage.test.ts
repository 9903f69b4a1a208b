import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { answered, type Logger, type Usage } from '../src/index.js';
import { readUsage } from '../src/protocol/index.js';
import { type Harness, harness, settled } from './harness.js';

const PAIR = '\u{1f600}';
const thrower = () => {
  throw new Error('no');
};

const UNDERSTOOD: readonly (readonly [string, unknown, Usage])[] = [
  ['its own names', { tokens: 3, model: 'm' }, { tokens: 3, model: 'm' }],
  ['a fraction', { tokens: 12.5, model: 'm' }, { tokens: 12.5, model: 'm' }],
  ['nothing used', { tokens: 0 }, { tokens: 0, model: 'unknown' }],
  ['minus zero', { tokens: -0 }, { tokens: 0, model: 'unknown' }],
  ['the most', { tokens: 2 ** 53 - 1 }, { tokens: 2 ** 53 - 1, model: 'unknown' }],
  [
    'all parts',
    { tokens: 9, model: 'm', prompt_tokens: 6, completion_tokens: 3, cached_tokens: 2 },
    { tokens: 9, model: 'm', prompt_tokens: 6, completion_tokens: 3, cached_tokens: 2 },
  ],
  [
    'chat completions',
    {
      total_tokens: 15,
      prompt_tokens: 12,
      completion_tokens: 3,
      prompt_tokens_details: { cached_tokens: 4 },
    },
    { tokens: 15, model: 'unknown', prompt_tokens: 12, completion_tokens: 3, cached_tokens: 4 },
  ],
  [
    'responses',
    { input_tokens: 12, output_tokens: 3, input_tokens_details: { cached_tokens: 4 } },
    { tokens: 15, model: 'unknown', prompt_tokens: 12, completion_tokens: 3, cached_tokens: 4 },
  ],
  ['embeddings', { prompt_tokens: 12 }, { tokens: 12, model: 'unknown', prompt_tokens: 12 }],
  ['no count but a total', { tokens: null, total_tokens: 4 }, { tokens: 4, model: 'unknown' }],
  ['a part that is none', { tokens: 4, prompt_tokens: 'x' }, { tokens: 4, model: 'unknown' }],
  ['no model', { tokens: 3, model: null }, { tokens: 3, model: 'unknown' }],
  ['a number as model', { tokens: 3, model: 4 }, { tokens: 3, model: 'unknown' }],
  ['an empty model', { tokens: 3, model: ' \n ' }, { tokens: 3, model: 'unknown' }],
  ['a long model', { tokens: 3, model: 'm'.repeat(500) }, { tokens: 3, model: 'm'.repeat(200) }],
  [
    'a model cut in a pair',
    { tokens: 3, model: `m${PAIR.repeat(100)}` },
    { tokens: 3, model: `m${PAIR.repeat(99)}` },
  ],
  ['half a pair', { tokens: 3, model: 'm\ud83d' }, { tokens: 3, model: 'm\ufffd' }],
  ['control characters', { tokens: 3, model: 'a\nb\u0000c' }, { tokens: 3, model: 'abc' }],
];
const NOT_UNDERSTOOD: readonly (readonly [string, unknown])[] = [
  ['nothing in it', {}],
  ['no count', { tokens: null, model: 'm' }],
  ['a count as text', { tokens: '15', model: 'm' }],
  ['a negative count', { tokens: -1, model: 'm' }],
  ['a huge count', { tokens: 1e308 }],
  ['a count past 2^53', { tokens: 2 ** 53 }],
  ['no number', { tokens: Number.NaN }],
  ['no end', { tokens: Number.POSITIVE_INFINITY }],
  ['a sum past 2^53', { prompt_tokens: 2 ** 53 - 1, completion_tokens: 2 }],
  ['a big integer', { tokens: 3n }],
  ['a text', '15'],
  ['a number', 15],
  ['a list', [15]],
  ['true', true],
  ['a getter that throws', Object.defineProperty({}, 'tokens', { get: thrower, enumerable: true })],
];

/** What JSON can carry: a notification is nothing else. */
function ofTheWire(value: unknown): boolean {
  try {
    return JSON.stringify(value) !== undefined;
  } catch {
    return false;
  }
}

describe('readUsage', () => {
  it.each(UNDERSTOOD)('accepts %s', (_, value, usage) => {
    expect(readUsage(value)).toEqual(usage);
    expect(Object.is(readUsage(value)?.tokens, -0)).toBe(false);
  });
  it.each(NOT_UNDERSTOOD)('ignores %s', (_, value) => {
    expect(readUsage(value)).toBeUndefined();
  });
  it.each([[undefined], [null]])('ignores invalid usage: %s', (value) => {
    expect(readUsage(value)).toBeUndefined();
  });
});

describe('usage beside a result', () => {
  let h: Harness;
  let usage: unknown;
  let warnings: readonly unknown[][];
  beforeEach(async () => {
    warnings = [];
    const warn = (...said: unknown[]) => void (warnings = [...warnings, said]);
    const logger: Logger = { debug: () => {}, info: () => {}, error: () => {}, warn };
    h = harness({ logger, services: { near: { run: () => answered('fine', usage as Usage) } } });
    h.orchestrator.workflow('near', (ctx) => ctx.call('near', 'work'));
    h.orchestrator.workflow('far', (ctx) => ctx.call('slow', 'work'));
    await h.orchestrator.start();
  });
  afterEach(() => h.stop());

  /** The task of a call, whose result has the usage beside it. */
  const ways = {
    'in the process': async () => {
      const task = await h.acme.tasks.submit({ type: 'near', max_attempts: 1 });
      await settled();
      return h.ended(task);
    },
    'in a notification': async () => {
      const task = await h.acme.tasks.submit({ type: 'far', max_attempts: 1 });
      await settled();
      const frame = {
        event: 'task_completed',
        service: 'slow',
        tenant_id: 'acme',
        task_id: `job-${h.calls.length}`,
        data: 'fine',
        metadata: { usage },
      };
      const { signal } = new AbortController();
      await h.orchestrator.intake.receive(frame as never, { service: 'slow' }, { signal });
      return h.ended(task);
    },
  };

  describe.each(Object.entries(ways))('%s', (name, run) => {
    it('never fails the result, and is logged when invalid', async () => {
      for (const [what, value] of NOT_UNDERSTOOD) {
        if (name === 'in a notification' && !ofTheWire(value)) continue;
        usage = value;
        warnings = [];
        expect([what, await run()]).toMatchObject([what, { status: 'completed', result: 'fine' }]);
        expect([what, warnings.length]).toEqual([what, 1]);
        expect(String(warnings[0]?.[0])).toMatch(/^usage is ignored/);
        expect(warnings[0]?.[1]).toMatchObject({ tenant_id: 'acme', service: expect.any(String) });
      }
    });

    it('is counted', async () => {
      usage = { prompt_tokens: 12, completion_tokens: 3.5, model: 'm' };
      expect(await run()).toMatchObject({ result: 'fine', usage: { tokens: 15.5 } });
      expect(warnings).toEqual([]);
      const rows = await h.acme.usage.sum({ from: '2000-01-01', to: '2999-12-31' });
      expect(rows).toMatchObject([{ model: 'm', tokens: 15.5 }]);
    });

    it.each([[undefined], [null]])('that is %s is ignored', async (value) => {
      usage = value;
      expect(await run()).toMatchObject({ result: 'fine' });
      expect(warnings).toEqual([]);
    });
  });
});
