import {
  type Intake,
  type IntakeResult,
  type JsonValue,
  OrchestratorError,
  silentLogger,
} from '@agent-orchestrator/core';
import { describe, expect, it, vi } from 'vitest';
import { SocketTraffic } from '../src/metrics/socket-traffic.js';
import { Inbox } from '../src/service-socket/inbox.js';

type Taken = (frame: JsonValue) => IntakeResult | Promise<IntakeResult>;

/** An inbox over an intake in the test's hands. */
function setUp(takes: Taken) {
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
      from: { service: 'query' },
      reply,
      traffic: new SocketTraffic(),
      logger: silentLogger,
      framesPerSecond: 500,
    }),
    said,
    closes,
    taken,
  };
}

const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('Inbox', () => {
  it('lets nothing behind a frame wait for it', async () => {
    let release: (result: IntakeResult) => void = () => undefined;
    const held = new Promise<IntakeResult>((resolve) => (release = resolve));
    const { inbox, said } = setUp((frame) =>
      (frame as { n: number }).n === 1 ? held : { outcome: 'applied' },
    );
    inbox.take({ n: 1, message_id: 'm-1' });
    inbox.take({ n: 2, message_id: 'm-2' });
    await settled();
    expect(said).toEqual([{ event: 'ack', message_id: 'm-2', outcome: 'applied' }]);
    release({ outcome: 'applied' });
    await settled();
    expect(said).toHaveLength(2);
    inbox.close();
  });

  it('gives frames with a message_id back while the storage is away', async () => {
    const { inbox, said } = setUp(() =>
      Promise.reject(new OrchestratorError('storage_unavailable', 'no answer')),
    );
    inbox.take({ message_id: 'm-1' });
    await settled();
    expect(said).toEqual([
      { event: 'ack', message_id: 'm-1', outcome: 'retry_later', retry_after_ms: 1_000 },
    ]);
    inbox.close();
  });

  it('keeps the others in order until it is back', async () => {
    vi.useFakeTimers();
    let away = true;
    const { inbox, taken } = setUp(() =>
      away ? { outcome: 'retry_later', retry_after_ms: 50 } : { outcome: 'applied' },
    );
    inbox.take({ n: 1 });
    await vi.advanceTimersByTimeAsync(1);
    inbox.take({ n: 2 });
    inbox.take({ n: 3 });
    expect(taken).toEqual([{ n: 1 }]);
    away = false;
    await vi.advanceTimersByTimeAsync(60);
    expect(taken.slice(1)).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
    inbox.close();
    vi.useRealTimers();
  });

  it('closes with 1013 when too many wait', async () => {
    const { inbox, closes } = setUp(() => ({ outcome: 'retry_later', retry_after_ms: 60_000 }));
    inbox.take({ n: 0 });
    await settled();
    for (let n = 1; n < 1_000; n += 1) inbox.take({ n });
    expect(closes).toEqual([]);
    inbox.take({ n: 1_000 });
    expect(closes).toEqual([1013]);
    inbox.close();
  });

  it('answers a flood with retry_later', async () => {
    const { inbox, said } = setUp(() => ({ outcome: 'applied' }));
    for (let n = 0; n < 1_500; n += 1) {
      inbox.take({ message_id: `m-${n}` });
      if (n % 100 === 0) await settled();
    }
    await settled();
    expect(said).toHaveLength(1_500);
    const later = said.filter((ack) => ack['outcome'] === 'retry_later').length;
    expect(later).toBeGreaterThan(200);
    expect(later).toBeLessThanOrEqual(500);
    inbox.close();
  });

  it('takes nothing once it is closed', async () => {
    const { inbox, said, taken } = setUp(() => ({ outcome: 'applied' }));
    inbox.close();
    inbox.take({ message_id: 'm-1' });
    await settled();
    expect([said, taken]).toEqual([[], []]);
  });
});
