import { randomUUID } from 'node:crypto';
import { FileStorage, type Storage, type TaskEvent } from '@agent-orchestrator/core';
import { PortableFolder } from '@agent-orchestrator/core/server';
import type { PortableState } from '@agent-orchestrator/core/storage';
import { sharedRedis } from '@agent-orchestrator/test-servers';
import { describe, expect, it } from 'vitest';
import { type Folder, folder } from '../../core/test/file/folder.js';
import { ManualClock } from '../../core/test/harness.js';
import { type OpenSubject, runSideBySide } from '../../core/test/task-histories.js';
import { RedisPortableState, RedisStorage } from '../src/index.js';
import { exported, imported } from './portable-storage.js';
import { KEPT_FOR_EVER, openReference } from '../../core/test/reference.js';

interface Place {
  open(): Promise<Storage>;
  readonly portable: PortableState;
}

const TENANT = 'acme';
type Methods = Record<string, (params: unknown) => Promise<unknown>>;

/** A storage that moves to another place now and then, while no task is leased and no report waits. */
class MovingStorage {
  readonly storage: Storage;
  moves = 0;
  #holds = false;
  #calls = 0;
  #before: TaskEvent[] = [];
  /** Number of those events. */
  #seen = 0;

  private constructor(
    private current: Storage,
    private place: Place,
    private readonly next: () => Promise<Place>,
  ) {
    this.storage = new Proxy({} as Storage, { get: (_, port) => this.#port(port as keyof Storage) });
  }

  static async start(next: () => Promise<Place>): Promise<MovingStorage> {
    const place = await next();
    return new MovingStorage(await place.open(), place, next);
  }

  #port(name: keyof Storage): unknown {
    const port = this.current[name];
    if (typeof port === 'function') return port.bind(this.current);
    return new Proxy(port, {
      get: (_, method) => async (params: unknown) => {
        if (name === 'events' && method === 'read') return this.#read();
        const answer = await (this.current[name] as unknown as Methods)[String(method)]?.(params);
        const { answer: word } = (answer ?? {}) as { readonly answer?: string };
        this.#holds ||= word === 'held';
        return answer;
      },
    });
  }

  async #read() {
    const events = await this.#events();
    return { events, cursor: await this.current.events.head({ tenantId: TENANT }) };
  }

  /** All events, also those of the logs before. */
  async #events(): Promise<TaskEvent[]> {
    const { events } = this.current;
    const head = await events.head({ tenantId: TENANT });
    const after = head.replace(/\d+$/, String(this.#seen));
    const read = await events.read({ tenantId: TENANT, after, limit: 100_000 });
    return [...this.#before, ...read.events];
  }

  async maybeMove(): Promise<void> {
    this.#calls += 1;
    if (this.#calls % 3 !== 0 || this.#holds) return;
    const { running } = await this.current.tenants.get({ tenantId: TENANT });
    if (running > 0) return;
    this.#before = await this.#events();
    this.#seen = Number((await this.current.events.head({ tenantId: TENANT })).split(':')[1]);
    await this.current.close();
    const lines = await exported(this.place.portable);
    const next = await this.next();
    await imported(next.portable, lines);
    this.place = next;
    this.current = await next.open();
    this.moves += 1;
  }
}

describe('a storage that is moved during a history', () => {
  it('gives the same answers as one that stays', async () => {
    const { url } = await sharedRedis();
    let moves = 0;
    const moving: OpenSubject = async () => {
      const clock = new ManualClock();
      const folders: Folder[] = [];
      let places = 0;
      const next = async (): Promise<Place> => {
        places += 1;
        const prefix = `test-${randomUUID().slice(0, 8)}`;
        const options = { clock, limits: KEPT_FOR_EVER };
        if (places % 2 === 0)
          return {
            open: async () => RedisStorage.connect(url, { prefix, ...options }),
            portable: RedisPortableState.connect(url, { prefix, clock }),
          };
        const own = await folder();
        folders.push(own);
        return {
          open: () => FileStorage.open(own.path, { durability: 'process', ...options }),
          portable: new PortableFolder(own.path, { clock }),
        };
      };
      const subject = await MovingStorage.start(next);
      return {
        storage: subject.storage,
        now: () => clock.now(),
        advance: async (ms) => {
          await clock.advance(ms);
          await subject.maybeMove();
        },
        close: async () => {
          moves += subject.moves;
          await subject.storage.close();
          for (const own of folders) await own[Symbol.asyncDispose]();
        },
      };
    };
    const open = [openReference, moving] as const;
    await runSideBySide({ open, numRuns: 60, seed: 20_261_130, shrink: false, batches: true });
    expect(moves).toBeGreaterThan(100);
    console.log('moves', moves);
  }, 300_000);
});
