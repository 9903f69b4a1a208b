import { type JsonValue, OrchestratorError } from '@agent-orchestrator/core';
import { silentLogger } from '@agent-orchestrator/core/server';
import { type Intake, type IntakeResult } from '@agent-orchestrator/core/server';
import { ManualClock } from '@agent-orchestrator/core/testing';
import { describe, expect, it } from 'vitest';
import { SocketTraffic } from '../src/metrics/socket-traffic.js';
import { Shares } from '../src/sockets/shares.js';
import { Inbox } from '../src/service-socket/inbox.js';

type Taken = (frame: JsonValue) => IntakeResult | Promise<IntakeResult>;

/** An inbox over an intake in the test's hands. */
const AWAY = { outcome: 'retry_later', retry_after_ms: 60_000 } as const;

function setUp(takes: Taken, heldBytes = new Shares(1_000_000)) {
  const clock = new ManualClock();
  const said: Record<string, unknown>[] = [];
  const closes: number[] = [];
  const taken: JsonValue[] = [];
  const intake = {
    receive: (frame: JsonValue) => {
      taken.push(frame);
      return Promise.resolve(takes(frame));
    },
  } as unknown as Intake;
  const reply = {
    sendJson: (frame: object) => void said.push(frame as Record<string, unknown>),
    close: (code: number) => void closes.push(code),
  };
  return {
    inbox: new Inbox({
      intake,
      from: () => ({ service: 'query' }),
      reply,
      traffic: new SocketTraffic(),
      logger: silentLogger,
      clock,
      heldBytes,
    }),
    clock,
    said,
    closes,
    taken,
  };
}

const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('Inbox', () => {
  it('does not block later frames behind a waiting one', async () => {
    let release: (result: IntakeResult) => void = () => undefined;
    const held = new Promise<IntakeResult>((resolve) => (release = resolve));
    const { inbox, said } = setUp((frame) =>
      (frame as { n: number }).n === 1 ? held : { outcome: 'applied' },
    );
    inbox.take({ n: 1, message_id: 'm-1' }, 10);
    inbox.take({ n: 2, message_id: 'm-2' }, 10);
    await settled();
    expect(said).toEqual([{ event: 'ack', message_id: 'm-2', outcome: 'applied' }]);
    release({ outcome: 'applied' });
    await settled();
    expect(said).toHaveLength(2);
    inbox.close();
  });

  it('defers frames with a message_id while the storage is unavailable', async () => {
    const { inbox, said } = setUp(() =>
      Promise.reject(new OrchestratorError('storage_unavailable', 'no answer')),
    );
    inbox.take({ message_id: 'm-1' }, 10);
    await settled();
    expect(said).toEqual([
      { event: 'ack', message_id: 'm-1', outcome: 'retry_later', retry_after_ms: 1_000 },
    ]);
    inbox.close();
  });

  it('keeps other frames in order until it is available', async () => {
    let away = true;
    const { inbox, taken, clock } = setUp(() =>
      away ? { outcome: 'retry_later', retry_after_ms: 50 } : { outcome: 'applied' },
    );
    inbox.take({ n: 1 }, 10);
    await settled();
    inbox.take({ n: 2 }, 10);
    inbox.take({ n: 3 }, 10);
    expect(taken).toEqual([{ n: 1 }]);
    away = false;
    await clock.advance(49);
    expect(taken).toHaveLength(1);
    await clock.advance(1);
    expect(taken.slice(1)).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
    inbox.close();
  });

  it('closes with 1013 when too many wait', async () => {
    const { inbox, closes } = setUp(() => ({ outcome: 'retry_later', retry_after_ms: 60_000 }));
    inbox.take({ n: 0 }, 10);
    await settled();
    for (let n = 1; n < 1_000; n += 1) inbox.take({ n }, 10);
    expect(closes).toEqual([]);
    inbox.take({ n: 1_000 }, 10);
    expect(closes).toEqual([1013]);
    inbox.close();
  });

  it('closes with 1013 when the connections of a service together hold too many bytes', async () => {
    const held = new Shares(250);
    const [first, second] = [setUp(() => AWAY, held), setUp(() => AWAY, held)];
    for (const { inbox } of [first, second]) inbox.take({ n: 0 }, 100);
    await settled();
    expect([first.closes, second.closes]).toEqual([[], []]);
    second.inbox.take({ n: 1 }, 100);
    expect([first.closes, second.closes]).toEqual([[], [1013]]);
    second.inbox.close();
    first.inbox.take({ n: 1 }, 100);
    expect(first.closes).toEqual([]);
    first.inbox.close();
    expect(held.take('query', 250)).toBeDefined();
  });

  it.each([
    ['a thousand', 1_001, 10],
    ['16 MiB', 17, 1_000_000],
  ])('defers frames while %s are in flight', async (_, count, bytes) => {
    const { inbox, said, taken } = setUp(() => new Promise(() => undefined));
    for (let n = 0; n < count; n += 1) inbox.take({ message_id: `m-${n}` }, bytes);
    await settled();
    expect(taken).toHaveLength(count - 1);
    expect(said).toEqual([
      { event: 'ack', message_id: `m-${count - 1}`, outcome: 'retry_later', retry_after_ms: 1_000 },
    ]);
    inbox.close();
  });

  it('accepts nothing once it is closed', async () => {
    const { inbox, said, taken } = setUp(() => ({ outcome: 'applied' }));
    inbox.close();
    inbox.take({ message_id: 'm-1' }, 10);
    await settled();
    expect([said, taken]).toEqual([[], []]);
  });
});
