import { type Clock, Orchestrator, type OrchestratorOptions, type Storage } from '../../src/index.js';
import { type Failpoints, operationOf } from './failpoints.js';

/** What a caller gets whose process died: no answer, but a broken connection. */
export const LOST = Symbol('lost');

/** The world that several processes share. */
export interface Surroundings {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly failpoints: Failpoints;
  /** Observes each operation of the storage, whether or not its caller lives to get the answer. */
  readonly witness?: (operation: string, params: unknown, answer: unknown) => void;
  readonly onDrop: (dropped: SimulatedProcess) => void;
}

/** A new promise each time: a shared one would keep every waiter alive. */
const never = <T>(): Promise<T> => new Promise<T>(() => {});

/**
 * One process: an orchestrator whose access to storage, time, services and its own effects goes through here.
 * It lives until it is killed, at a failpoint or from outside. From then on it has no effect and receives
 * nothing: its promises never settle, its timers never fire, it gets no wake-up. It is not stopped.
 */
export class SimulatedProcess {
  readonly orchestrator: Orchestrator;
  readonly #callers = new Set<() => void>();
  #dropped = false;
  #subscriptions: (() => void)[] = [];

  constructor(
    readonly name: string,
    private readonly around: Surroundings,
    options: Omit<OrchestratorOptions, 'storage' | 'clock'> = {},
  ) {
    this.orchestrator = new Orchestrator({
      ...options,
      storage: this.#ownStorage(),
      clock: this.#ownClock(),
    });
  }

  get dropped(): boolean {
    return this.#dropped;
  }

  drop(): void {
    if (this.#dropped) return;
    this.#dropped = true;
    for (const unsubscribe of this.#subscriptions) unsubscribe();
    this.#subscriptions = [];
    this.around.onDrop(this);
    for (const loseConnection of this.#callers) loseConnection();
  }

  /** A request from outside: its answer or error, or `LOST` if the process dies before. */
  ask<T>(request: (orchestrator: Orchestrator) => Promise<T>): Promise<T | typeof LOST> {
    if (this.#dropped) return Promise.resolve(LOST);
    return new Promise((resolve, reject) => {
      const lose = () => resolve(LOST);
      this.#callers.add(lose);
      request(this.orchestrator)
        .then(resolve, reject)
        .finally(() => this.#callers.delete(lose));
    });
  }

  /** Work outside of this process, or an effect of its own. Before and after it the process may die. */
  async through<T>(operation: string, work: () => Promise<T> | T): Promise<T> {
    if (this.#dropped || this.#diesAt(operation, 'before')) return never();
    try {
      const answer = await work();
      if (!this.#dropped && !this.#diesAt(operation, 'after')) return answer;
    } catch (error) {
      if (!this.#dropped) throw error;
    }
    return never();
  }

  #diesAt(operation: string, when: 'before' | 'after'): boolean {
    if (!this.around.failpoints.pass(`${operation}:${when}`, this.name)) return false;
    this.drop();
    return true;
  }

  #ownClock(): Clock {
    const { clock } = this.around;
    return {
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
      after: (ms, callback) =>
        clock.after(ms, () => {
          if (!this.#dropped) callback();
        }),
    };
  }

  #ownStorage(): Storage {
    const { storage } = this.around;
    const { tasks, queue, journal, sessions, tenants, tickets, rates, usage, cache, workers } = storage;
    return {
      tasks: this.#own('tasks', tasks),
      queue: this.#own('queue', queue),
      journal: this.#own('journal', journal),
      sessions: this.#own('sessions', sessions),
      tenants: this.#own('tenants', tenants),
      tickets: this.#own('tickets', tickets),
      rates: this.#own('rates', rates),
      usage: this.#own('usage', usage),
      cache: this.#own('cache', cache),
      workers: this.#own('workers', workers),
      events: this.#ownEvents(),
      systemEvents: storage.systemEvents,
      wakeups: { subscribe: (listener) => this.#subscribe(listener) },
      ping: () => this.through('storage.ping', () => storage.ping()),
      close: () => this.through('storage.close', () => storage.close()),
    };
  }

  #own<T extends object>(name: string, part: T): T {
    return new Proxy(part, {
      get: (target, key) => {
        const method: unknown = Reflect.get(target, key, target);
        if (typeof method !== 'function') return method;
        return (params: unknown) => {
          const operation = operationOf(name, String(key), params);
          return this.through(operation, async () => {
            const answer: unknown = await Reflect.apply(method, target, [params]);
            this.around.witness?.(operation, params, answer);
            return answer;
          });
        };
      },
    });
  }

  #ownEvents(): Storage['events'] {
    const { events } = this.around.storage;
    const through = this.through.bind(this);
    return {
      head: (params) => through('events.head', () => events.head(params)),
      read: (params) => through('events.read', () => events.read(params)),
      async *follow(params) {
        for await (const event of events.follow(params)) {
          yield await through('events.follow', () => event);
        }
      },
      async *followCompletions(params) {
        for await (const end of events.followCompletions(params)) {
          yield await through('events.followCompletions', () => end);
        }
      },
    };
  }

  #subscribe(listener: Parameters<Storage['wakeups']['subscribe']>[0]): () => void {
    if (this.#dropped) return () => {};
    const unsubscribe = this.around.storage.wakeups.subscribe((wakeup) => {
      if (!this.#dropped) listener(wakeup);
    });
    this.#subscriptions.push(unsubscribe);
    return unsubscribe;
  }
}
