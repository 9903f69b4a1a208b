import type { TaskEvent } from '@agent-orchestrator/core';
import type { LogGap } from '@agent-orchestrator/core/storage';
import { ManualClock } from '@agent-orchestrator/core/testing';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { PubSubWakeups } from '../src/pubsub/wakeups.js';
import { LogFollower, type Page } from '../src/events/log-follower.js';

const CHANNEL = 'events';
const POLL_MS = 20_000;

/** A log of numbers, on a server that publishes appended entries and the marks of reads. */
class FakeLog {
  epoch: string | null = 'a';
  entries: number[] = [];
  reads = 0;
  connectionEpoch = 0;
  /** Whether published messages arrive. */
  isConnected = true;
  /** Published, but not delivered yet. */
  readonly late: string[] = [];
  readonly received: (number | 'gap')[] = [];
  answer: Promise<void> = Promise.resolve();
  readonly timers = new ManualClock();
  #follower: (message: string) => void = () => {};
  readonly #over = new AbortController();

  follow(after: number, takesEntries = true, count = 1): void {
    const wakeups = {
      follow: (_channel: string, follower: (message: string) => void) => {
        this.#follower = follower;
        return () => {};
      },
    } as unknown as PubSubWakeups;
    Object.defineProperty(wakeups, 'connectionEpoch', { get: () => this.connectionEpoch });
    const follower = new LogFollower({
      wakeups,
      channel: CHANNEL,
      read: (from, mark) => this.#read(from, mark),
      entryOf: (wakeup) => {
        const [position, epochStart = ''] = wakeup.split(' ');
        const last = Number(position);
        const after_ = (seq: number) => (last > seq ? [this.#event(last)] : []);
        return {
          last,
          epochStart,
          count,
          after: (seq) => (wakeup.endsWith('large') ? undefined : after_(seq)),
        };
      },
      cursorOf: (epoch, seq) => `${epoch}:${seq}`,
      pollMs: POLL_MS,
      timers: this.timers,
      takesEntries,
    });
    onTestFinished(() => this.#over.abort());
    void (async () => {
      for await (const event of follower.follow(`a:${after}`, this.#over.signal))
        this.received.push(event.event === 'gap' ? 'gap' : Number(event.data));
    })();
  }

  /** Publishes on the channel. */
  publish(message: string): void {
    if (this.isConnected) this.#follower(message);
    else this.late.push(message);
  }

  append(how = 'entry'): void {
    this.entries.push(this.entries.length + 1);
    this.publish(`${this.entries.length} ${this.epoch} ${how}`);
  }

  deliverLate(): void {
    for (const message of this.late.splice(0)) this.#follower(message);
  }

  mayHaveMissed(): void {
    this.#follower('');
  }

  async settled(): Promise<void> {
    for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  }

  async #read(from: string, mark: string): Promise<Page<TaskEvent>> {
    this.reads += 1;
    if (mark !== '') this.publish(`= ${mark}`);
    const { epoch } = this;
    const [known, position] = from.split(':') as [string, string];
    const isKnown =
      (known === epoch || epoch === null || position === '0') && Number(position) <= this.entries.length;
    const seq = isKnown ? Number(position) : 0;
    const read = this.entries.slice(seq, seq + 3);
    const head = this.entries.length;
    await this.answer;
    const gap: LogGap = { event: 'gap', from, to: `${epoch}:0` };
    const events = read.map((n) => this.#event(n));
    return { events, epoch, seq: read.at(-1) ?? seq, head, ...(!isKnown && { gap }) };
  }

  #event(n: number): TaskEvent {
    return { event: 'task_status_update', data: n } as unknown as TaskEvent;
  }
}

let log: FakeLog;
beforeEach(() => {
  log = new FakeLog();
});

async function following(after = 0, takesEntries = true): Promise<void> {
  log.follow(after, takesEntries);
  await log.settled();
}

describe('LogFollower', () => {
  it('reads once, then takes appended entries from wakeups', async () => {
    log.entries = [1, 2];
    await following();
    for (let n = 0; n < 20; n += 1) log.append();
    await log.settled();
    expect(log.received).toEqual(Array.from({ length: 22 }, (_, at) => at + 1));
    expect(log.reads).toBe(1);
  });

  it('starts in the middle of the log and reads page by page until the head', async () => {
    log.entries = [1, 2, 3, 4, 5, 6, 7, 8, 9];
    await following(2);
    log.append();
    await log.settled();
    expect(log.received).toEqual([3, 4, 5, 6, 7, 8, 9, 10]);
    expect(log.reads).toBe(3);
  });

  it('reads at each interval, since a wakeup may be lost', async () => {
    await following();
    log.isConnected = false;
    log.append();
    await log.timers.advance(POLL_MS - 1);
    expect([log.received, log.reads]).toEqual([[], 1]);
    await log.timers.advance(1);
    expect([log.received, log.reads]).toEqual([[1], 2]);
  });

  it('reads for each wakeup when wakeups carry no entries, as on a Cluster', async () => {
    await following(0, false);
    log.append();
    await log.settled();
    log.append();
    await log.settled();
    expect(log.received).toEqual([1, 2]);
    expect(log.reads).toBe(3);
  });

  it('reads for each wakeup while the marks of its reads do not arrive on the channel', async () => {
    log.isConnected = false;
    await following();
    log.isConnected = true;
    log.late.length = 0;
    const publish = log.publish.bind(log);
    log.publish = (message) => (message.startsWith('= ') ? undefined : publish(message));
    for (let n = 0; n < 3; n += 1) {
      log.append();
      await log.settled();
    }
    expect(log.received).toEqual([1, 2, 3]);
    expect(log.reads).toBe(4);
  });

  it('reads the log when a wakeup was lost', async () => {
    await following();
    log.entries.push(1);
    log.append();
    await log.settled();
    expect(log.received).toEqual([1, 2]);
    expect(log.reads).toBe(2);
  });

  it('delivers nothing twice when wakeups arrive late, or twice', async () => {
    await following();
    log.append();
    log.publish('1 a entry');
    await log.settled();
    log.isConnected = false;
    log.append();
    log.append();
    log.mayHaveMissed();
    log.isConnected = true;
    log.deliverLate();
    log.deliverLate();
    log.append();
    await log.settled();
    expect(log.received).toEqual([1, 2, 3, 4]);
  });

  it('delivers nothing twice when wakeups arrive before the answer of the read with the same events', async () => {
    let answer = () => {};
    log.answer = new Promise((resolve) => (answer = resolve));
    log.entries = [1];
    log.follow(0);
    await log.settled();
    log.append();
    log.append();
    answer();
    await log.settled();
    expect(log.received).toEqual([1, 2, 3]);
    expect(log.reads).toBe(1);
  });

  it('handles a mark that arrives with the answer after the answer, without a second read', async () => {
    log.isConnected = false;
    log.follow(0);
    log.mayHaveMissed();
    await Promise.resolve();
    log.isConnected = true;
    log.deliverLate();
    await log.settled();
    log.append();
    await log.settled();
    expect(log.received).toEqual([1]);
    expect(log.reads).toBe(1);
  });

  it('reads again after a lost connection, before it takes an entry from a wakeup', async () => {
    await following();
    log.append();
    await log.settled();
    log.connectionEpoch += 1;
    // Another server with another log, whose next entry would fit.
    log.epoch = 'b';
    log.append();
    await log.settled();
    expect(log.received).toEqual([1, 'gap', 1, 2]);
    log.append();
    await log.settled();
    expect(log.received).toEqual([1, 'gap', 1, 2, 3]);
    expect(log.reads).toBe(2);
  });

  it('reads the first events of a new log, whose epoch is unknown', async () => {
    log.epoch = null;
    await following();
    log.epoch = 'a';
    log.append();
    await log.settled();
    expect(log.received).toEqual([1]);
    expect(log.reads).toBe(2);
  });

  it('reports a gap when a new log begins on the same server', async () => {
    await following();
    log.append();
    log.append();
    await log.settled();
    log.epoch = 'b';
    log.entries = [];
    log.append();
    await log.settled();
    expect(log.received).toEqual([1, 2, 'gap', 1]);
  });

  it('reports a gap when the first wakeup of a new log would fit the position in the old one', async () => {
    await following();
    log.append();
    log.append();
    await log.settled();
    log.epoch = 'b';
    // Appended while the log was published to no follower.
    log.entries = [1, 2];
    log.append();
    await log.settled();
    expect(log.received).toEqual([1, 2, 'gap', 1, 2, 3]);
  });

  it('reads a large result that a wakeup only refers to', async () => {
    await following();
    log.append('large');
    log.append();
    await log.settled();
    expect(log.received).toEqual([1, 2]);
    expect(log.reads).toBe(2);
  });

  it('does not read skipped events when wakeups carry only some of the events', async () => {
    log.follow(0, true, Number.POSITIVE_INFINITY);
    await log.settled();
    log.entries.push(1, 2);
    log.append();
    log.entries.push(4);
    log.append();
    await log.settled();
    expect(log.received).toEqual([3, 5]);
    expect(log.reads).toBe(1);
    // A repeated message still leads to a read.
    log.publish('3 a entry');
    log.entries.push(6);
    await log.settled();
    expect(log.received).toEqual([3, 5, 6]);
  });

  it('buffers a limited size of wakeups while a read is in flight, then reads the log', async () => {
    let answer = () => {};
    await following();
    log.answer = new Promise((resolve) => (answer = resolve));
    log.entries.push(1);
    log.append();
    await log.settled();
    for (let n = 0; n < 40; n += 1) log.append(`entry ${'x'.repeat(100_000)}`);
    answer();
    await log.settled();
    expect(log.received).toEqual(Array.from({ length: 42 }, (_, at) => at + 1));
    expect(log.reads).toBeGreaterThan(2);
  });
});
