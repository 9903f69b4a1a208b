import type { Clock } from '@agent-orchestrator/core';
import {
  type FollowSystemEventsParams,
  pause,
  type PublishSystemEventParams,
  type SystemEvent,
  type SystemEvents,
} from '@agent-orchestrator/core/storage';
import type { Cluster, Redis } from 'ioredis';
import type { Database } from '../server/database.js';
import { answerOf } from '../server/storage-errors.js';

const KEPT = 10_000;

/**
 * Events for operators: workers that join, leave or are lost, dead letters, late outcomes, tenants at their
 * limit or with damaged keys, opened circuit breakers. A stream keeps about the last ten thousand. Best
 * effort: no operation fails because one could not be stored.
 */
export class RedisSystemEvents implements SystemEvents {
  constructor(
    private readonly client: Redis | Cluster,
    private readonly key: string,
    private readonly database: Database,
    private readonly clock: Clock,
  ) {}

  publish({ kind, text, fields }: PublishSystemEventParams): void {
    const flat = Object.entries({ kind, text, ...fields }).flat();
    this.#add(flat).catch(() => undefined);
  }

  async #add(fields: readonly string[]): Promise<void> {
    await this.database.check();
    await this.client.xadd(this.key, 'MAXLEN', '~', KEPT, '*', ...fields);
  }

  async *follow({ signal, recent = 100 }: FollowSystemEventsParams): AsyncGenerator<SystemEvent> {
    await this.database.check();
    const newest = await answerOf(this.client.xrevrange(this.key, '+', '-', 'COUNT', Math.max(1, recent)));
    let last = newest[0]?.[0] ?? '0';
    for (const [id, fields] of newest.slice(0, recent).toReversed()) yield readSystemEvent(id, fields);
    while (!signal.aborted) {
      const entries = await answerOf(this.client.xrange(this.key, `(${last}`, '+', 'COUNT', 100));
      for (const [id, fields] of entries) {
        if (signal.aborted) return;
        last = id;
        yield readSystemEvent(id, fields);
      }
      if (entries.length === 0) await pause(this.clock, POLL_MS, signal);
    }
  }
}

const POLL_MS = 500;

function readSystemEvent(id: string, flat: readonly string[]): SystemEvent {
  const fields: Record<string, string> = {};
  for (let at = 0; at < flat.length; at += 2) fields[flat[at] as string] = flat[at + 1] as string;
  const { kind = '', text = '', ...more } = fields;
  return { at: Number.parseInt(id, 10), kind, text, ...more };
}
