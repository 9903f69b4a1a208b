import { ManualClock } from '@agent-orchestrator/core/testing';
import { describe, expect, it } from 'vitest';
import type { Identities } from '../src/index.js';
import { MinuteBudget, Pace } from '../src/sockets/budgets.js';
import { KEYS, startServer, TOKENS } from './running-server.js';
import { SocketPeer } from './socket-peer.js';

const HELLO_MS = 5_000;
const HEARTBEAT_MS = 15_000;

const SOCKETS = [
  ['client', '/ws/client', KEYS.acme],
  ['service', '/ws/task_updates', TOKENS.query],
] as const;

/** A clock that knows for how long its timers run. */
class WatchedClock extends ManualClock {
  readonly #running: number[] = [];

  override after(ms: number, callback: () => void): () => void {
    this.#running.push(ms);
    const end = () => {
      const at = this.#running.indexOf(ms);
      if (at >= 0) this.#running.splice(at, 1);
    };
    const cancel = super.after(ms, () => {
      end();
      callback();
    });
    let isEnded = false;
    return () => {
      if (!isEnded) end();
      isEnded = true;
      cancel();
    };
  }

  /** Whether a timer of so long runs. */
  has(ms: number): boolean {
    return this.#running.includes(ms);
  }
}

async function opened(path: string, { token, identities }: { token?: string; identities?: Identities } = {}) {
  const clock = new WatchedClock();
  const running = await startServer({ clock, ...(identities && { identities }) });
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const peer = new SocketPeer(`${running.url}${path}`, headers);
  await peer.opened;
  return { clock, peer };
}

describe.each(SOCKETS)('a %s socket', (kind, path, token) => {
  it('is closed without a first frame within five seconds, and not before', async () => {
    const { clock, peer } = await opened(path);
    await clock.advance(HELLO_MS - 1);
    await peer.answered();
    expect(peer.isOpen).toBe(true);
    await clock.advance(1);
    expect(await peer.closed).toMatchObject({ code: 4401, reason: 'expected a first frame within 5000 ms' });
  });

  it('is closed when its credential is not checked within five seconds', async () => {
    const identities = { authenticate: () => new Promise<never>(() => undefined) };
    const { clock, peer } = await opened(path, { token, identities });
    await clock.advance(HELLO_MS - 1);
    await peer.answered();
    expect(peer.isOpen).toBe(true);
    await clock.advance(1);
    expect(await peer.closed).toMatchObject({ code: 1013 });
  });

  it('stays open while it answers pings, and ends at the heartbeat after one without an answer', async () => {
    const { clock, peer } = await opened(path, { token });
    if (kind === 'service') await peer.next();
    for (let n = 0; n < 5; n += 1) await peer.heartbeat(clock, HEARTBEAT_MS);
    expect(peer.isOpen).toBe(true);
    (peer.socket as unknown as { _autoPong: boolean })._autoPong = false;
    const pinged = new Promise((resolve) => peer.socket.once('ping', resolve));
    await clock.advance(HEARTBEAT_MS);
    await pinged;
    expect(peer.isOpen).toBe(true);
    await clock.advance(HEARTBEAT_MS);
    expect(await peer.closed).toMatchObject({ code: 1006 });
  });

  it('leaves no timer when it is closed', async () => {
    const { clock, peer } = await opened(path, { token });
    await expect.poll(() => clock.has(HEARTBEAT_MS), { timeout: 30_000 }).toBe(true);
    peer.socket.close();
    await peer.closed;
    await expect.poll(() => clock.has(HEARTBEAT_MS) || clock.has(HELLO_MS), { timeout: 30_000 }).toBe(false);
  });
});

/** A clock whose time of day is set, as by an operator, while durations go on. */
class SetClock extends ManualClock {
  aheadMs = 0;
  override now(): number {
    return super.now() + this.aheadMs;
  }
}

describe.each([
  ['forward', 3_600_000],
  ['back', -3_600_000],
])('a time of day that is set %s by an hour', (_, aheadMs) => {
  it('leaves the rate of frames as it is', async () => {
    const clock = new SetClock();
    const limits = { framesPerSecond: 1, framesBurst: 2, bytesPerSecond: 1_000, bytesBurst: 1_000 };
    const pace = new Pace(limits, clock);
    expect([pace.take(1), pace.take(1)]).toEqual([0, 0]);
    clock.aheadMs = aheadMs;
    expect(pace.take(1)).toBe(1_000);
    await clock.advance(2_000);
    expect(pace.take(1)).toBe(0);
  });

  it('leaves a limit per minute as it is', async () => {
    const clock = new SetClock();
    const budget = new MinuteBudget(2, clock);
    expect(budget.spend()).toBe(false);
    clock.aheadMs = aheadMs;
    expect(budget.spend()).toBe(true);
    await clock.advance(60_000);
    expect(budget.spend()).toBe(false);
  });
});
