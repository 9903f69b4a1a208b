import { readFile } from 'node:fs/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Orchestrator } from '../src/index.js';
import { ERROR_CODES } from '../src/protocol/index.js';
import {
  cursorSchema,
  formatCursor,
  idSchema,
  isLegal,
  JsonRefusedError,
  nameSchema,
  parseCursor,
  parseJson,
  statusOf,
  type TaskState,
  TRANSITIONS,
} from '../src/protocol/index.js';

const HOSTILE = [
  '',
  'a:b',
  '{a}',
  '*',
  'a\r\nb',
  'a\0b',
  '../a',
  '%3A',
  'ä',
  ' a',
  '-a',
  'x'.repeat(65),
  '\ud800',
  '__proto__',
];

describe('ids', () => {
  it.each(HOSTILE)('%j is not an id', (id) => {
    expect(idSchema.safeParse(id).success).toBe(false);
    expect(nameSchema.safeParse(id).success).toBe(false);
    expect(() => new Orchestrator().tenant(id)).toThrow(/tenant_id: expected/);
  });

  it.each(['a', 'A1', 'acme.de-1_x', 'x'.repeat(64)])('%j is one', (id) => {
    expect(idSchema.parse(id)).toBe(id);
  });
});

describe('JSON from outside', () => {
  it('passes unchanged', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
        const text = JSON.stringify(value);
        fc.pre(!/"(__proto__|constructor|prototype)":/.test(text));
        expect(parseJson(text)).toEqual(JSON.parse(text));
      }),
    );
  });

  const nested = (levels: number) => '[{"a":'.repeat(levels / 2) + '1' + '}]'.repeat(levels / 2);

  it.each([
    '{',
    '',
    '{"__proto__":1}',
    '[{"a":{"constructor":1}}]',
    String.raw`{"\u005f_proto__":1}`,
    String.raw`[{"a":{"constr\u0075ctor":1}}]`,
    '['.repeat(40) + ']'.repeat(40),
    nested(34),
    `{"a\\"":${nested(32)}}`,
  ])('%s is refused', (text) => {
    expect(() => parseJson(text)).toThrow(JsonRefusedError);
  });

  it.each([
    nested(32),
    JSON.stringify(['['.repeat(100), '{"a":'.repeat(100), '\\'.repeat(99), '"[{'.repeat(99)]),
    JSON.stringify({ ['[{"\\'.repeat(50)]: ['__proto__', 'constructor'] }),
    `[${'[],'.repeat(1_000)}[]]`,
  ])('%s is accepted', (text) => {
    expect(parseJson(text)).toEqual(JSON.parse(text));
  });
});

describe('the error of a text that is not JSON', () => {
  it.each(['<html>secret</html>', 'secret', '{"a":secret}', `{"long":"${'x'.repeat(100)}", secret}`])(
    'does not quote %s',
    (text) => {
      expect(() => parseJson(text)).toThrow(JsonRefusedError);
      expect(() => parseJson(text)).not.toThrow(/secret|html/);
    },
  );
});

describe('cursors', () => {
  it('survive a round trip', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Za-z0-9]{1,40}$/), fc.nat(1_000_000_000), (epoch, seq) => {
        const text = formatCursor({ epoch, seq });
        expect(cursorSchema.parse(text)).toBe(text);
        expect(parseCursor(text)).toEqual({ epoch, seq });
      }),
    );
  });
});

describe('the task lifecycle', () => {
  it('never leaves a final state', () => {
    const finals: TaskState[] = ['completed', 'failed', 'cancelled'];
    expect(TRANSITIONS.filter(({ from }) => from !== undefined && finals.includes(from))).toEqual([]);
  });

  it('allows an external end from every state but a final one', () => {
    const states = new Set(TRANSITIONS.map(({ to }) => to).filter((state) => statusOf(state) !== state));
    for (const state of states) {
      expect(isLegal(state, 'cancelled', 'cancel')).toBe(true);
      expect(isLegal(state, 'failed', 'time_out')).toBe(true);
    }
  });
});

describe('docs/errors.md', () => {
  it('has a heading and the status of each code, and no other', async () => {
    const text = await readFile(new URL('../../../docs/errors.md', import.meta.url), 'utf8');
    const documented = Object.fromEntries(
      [...text.matchAll(/^## (\w+)\nStatus (\d+)\./gm)].map(([, code, status]) => [code, Number(status)]),
    );
    const actual = Object.fromEntries(
      Object.entries(ERROR_CODES).map(([code, { status }]) => [code, status]),
    );
    expect(documented).toEqual(actual);
  });
});
