import type { LogGap, TaskEvent } from '@agent-orchestrator/core';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { PubSubWakeups } from '../src/pubsub/wakeups.js';
import { LogFollower, type Page } from '../src/events/log-follower.js';

const CHANNEL = 'events';

/** A log of numbers, on a server that says what is appended, and what a reader asks it to say. */
class Stage {
  epoch: string | null = 'a';
  log: number[] = [];
  reads = 0;
  connectionEpoch = 0;
  /** Whether what the server says arrives. */
  isHeard = true;
  /** Said, but not heard yet. */
  readonly late: string[] = [];
  readonly heard: (number | 'gap')[] = [];
  answered: Promise<void> = Promise.resolve();
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
        const [place, began = ''] = wakeup.split(' ');
        const last = Number(place);
        const after_ = (seq: number) => (last > seq ? [this.#event(last)] : []);
        return { last, began, count, after: (seq) => (wakeup.endsWith('large') ? undefined : after_(seq)) };
      },
      cursorOf: (epoch, seq) => `${epoch}:${seq}`,
      lookAgainMs: 1_000_000,
      takesEntries,
    });
    onTestFinished(() => this.#over.abort());
    void (async () => {
      for await (const event of follower.follow(`a:${after}`, this.#over.signal))
        this.heard.push(event.event === 'gap' ? 'gap' : Number(event.data));
    })();
  }

  /** What the server says on the channel. */
  say(message: string): void {
    if (this.isHeard) this.#follower(message);
    else this.late.push(message);
  }

  append(how = 'entry'): void {
    this.log.push(this.log.length + 1);
    this.say(`${this.log.length} ${this.epoch} ${how}`);
  }

  hearLate(): void {
    for (const message of this.late.splice(0)) this.#follower(message);
  }

  missed(): void {
    this.#follower('');
  }

  async settled(): Promise<void> {
    for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  }

  async #read(from: string, mark: string): Promise<Page<TaskEvent>> {
    this.reads += 1;
    if (mark !== '') this.say(`= ${mark}`);
    const { epoch } = this;
    const [known, asked] = from.split(':') as [string, string];
    const isKnown = (known === epoch || epoch === null || asked === '0') && Number(asked) <= this.log.length;
    const seq = isKnown ? Number(asked) : 0;
    const read = this.log.slice(seq, seq + 3);
    const head = this.log.length;
    await this.answered;
    const gap: LogGap = { event: 'gap', from, to: `${epoch}:0` };
    const events = read.map((n) => this.#event(n));
    return { events, epoch, seq: read.at(-1) ?? seq, head, ...(!isKnown && { gap }) };
  }

  #event(n: number): TaskEvent {
    return { event: 'task_status_update', data: n } as unknown as TaskEvent;
  }
}

let stage: Stage;
beforeEach(() => {
  stage = new Stage();
});

async function following(after = 0, takesEntries = true): Promise<void> {
  stage.follow(after, takesEntries);
  await stage.settled();
}

describe('one who follows a log', () => {
  it('reads once, and takes what is appended from then on from the wakeups', async () => {
    stage.log = [1, 2];
    await following();
    for (let n = 0; n < 20; n += 1) stage.append();
    await stage.settled();
    expect(stage.heard).toEqual(Array.from({ length: 22 }, (_, at) => at + 1));
    expect(stage.reads).toBe(1);
  });

  it('begins in the middle, and reads page by page until he has caught up', async () => {
    stage.log = [1, 2, 3, 4, 5, 6, 7, 8, 9];
    await following(2);
    stage.append();
    await stage.settled();
    expect(stage.heard).toEqual([3, 4, 5, 6, 7, 8, 9, 10]);
    expect(stage.reads).toBe(3);
  });

  it('reads for each wakeup where he can not be sure who says it', async () => {
    await following(0, false);
    stage.append();
    await stage.settled();
    stage.append();
    await stage.settled();
    expect(stage.heard).toEqual([1, 2]);
    expect(stage.reads).toBe(3);
  });

  it('reads for each wakeup while what he listens to does not say what the server says that he reads from', async () => {
    stage.isHeard = false;
    await following();
    stage.isHeard = true;
    stage.late.length = 0;
    const say = stage.say.bind(stage);
    stage.say = (message) => (message.startsWith('= ') ? undefined : say(message));
    for (let n = 0; n < 3; n += 1) {
      stage.append();
      await stage.settled();
    }
    expect(stage.heard).toEqual([1, 2, 3]);
    expect(stage.reads).toBe(4);
  });

  it('reads when a wakeup was lost', async () => {
    await following();
    stage.log.push(1);
    stage.append();
    await stage.settled();
    expect(stage.heard).toEqual([1, 2]);
    expect(stage.reads).toBe(2);
  });

  it('takes nothing twice when wakeups come late, or twice', async () => {
    await following();
    stage.append();
    stage.say('1 a entry');
    await stage.settled();
    stage.isHeard = false;
    stage.append();
    stage.append();
    stage.missed();
    stage.isHeard = true;
    stage.hearLate();
    stage.hearLate();
    stage.append();
    await stage.settled();
    expect(stage.heard).toEqual([1, 2, 3, 4]);
  });

  it('takes nothing twice when wakeups come before the answer of the read that has the same events', async () => {
    let answer = () => {};
    stage.answered = new Promise((resolve) => (answer = resolve));
    stage.log = [1];
    stage.follow(0);
    await stage.settled();
    stage.append();
    stage.append();
    answer();
    await stage.settled();
    expect(stage.heard).toEqual([1, 2, 3]);
    expect(stage.reads).toBe(1);
  });

  it('hears what the server says together with its answer only after the answer, and reads no second time', async () => {
    stage.isHeard = false;
    stage.follow(0);
    stage.missed();
    await Promise.resolve();
    stage.isHeard = true;
    stage.hearLate();
    await stage.settled();
    stage.append();
    await stage.settled();
    expect(stage.heard).toEqual([1]);
    expect(stage.reads).toBe(1);
  });

  it('reads again once a connection was lost, before he takes anything from a wakeup', async () => {
    await following();
    stage.append();
    await stage.settled();
    stage.connectionEpoch += 1;
    // Another server, where something else was appended; what comes next would fit.
    stage.epoch = 'b';
    stage.append();
    await stage.settled();
    expect(stage.heard).toEqual([1, 'gap', 1, 2]);
    stage.append();
    await stage.settled();
    expect(stage.heard).toEqual([1, 'gap', 1, 2, 3]);
    expect(stage.reads).toBe(2);
  });

  it('reads the first events of a log that was not there before: a wakeup does not say when it began', async () => {
    stage.epoch = null;
    await following();
    stage.epoch = 'a';
    stage.append();
    await stage.settled();
    expect(stage.heard).toEqual([1]);
    expect(stage.reads).toBe(2);
  });

  it('tells of a gap when the log begins anew on the same server', async () => {
    await following();
    stage.append();
    stage.append();
    await stage.settled();
    stage.epoch = 'b';
    stage.log = [];
    stage.append();
    await stage.settled();
    expect(stage.heard).toEqual([1, 2, 'gap', 1]);
  });

  it('tells of a gap when a log that began anew is heard of where it would go on', async () => {
    await following();
    stage.append();
    stage.append();
    await stage.settled();
    stage.epoch = 'b';
    // Appended while it was published for no follower.
    stage.log = [1, 2];
    stage.append();
    await stage.settled();
    expect(stage.heard).toEqual([1, 2, 'gap', 1, 2, 3]);
  });

  it('reads what a wakeup only refers to', async () => {
    await following();
    stage.append('large');
    stage.append();
    await stage.settled();
    expect(stage.heard).toEqual([1, 2]);
    expect(stage.reads).toBe(2);
  });

  it('reads nothing for what wakeups leave out, where they bring only some of the events', async () => {
    stage.follow(0, true, Number.POSITIVE_INFINITY);
    await stage.settled();
    stage.log.push(1, 2);
    stage.append();
    stage.log.push(4);
    stage.append();
    await stage.settled();
    expect(stage.heard).toEqual([3, 5]);
    expect(stage.reads).toBe(1);
    // What was said twice makes him look, all the same.
    stage.say('3 a entry');
    stage.log.push(6);
    await stage.settled();
    expect(stage.heard).toEqual([3, 5, 6]);
  });

  it('keeps no more than so much of what is said while nobody takes it', async () => {
    let answer = () => {};
    await following();
    stage.answered = new Promise((resolve) => (answer = resolve));
    stage.log.push(1);
    stage.append();
    await stage.settled();
    for (let n = 0; n < 40; n += 1) stage.append(`entry ${'x'.repeat(100_000)}`);
    answer();
    await stage.settled();
    expect(stage.heard).toEqual(Array.from({ length: 42 }, (_, at) => at + 1));
    expect(stage.reads).toBeGreaterThan(2);
  });
});
