import { createHash } from 'node:crypto';
import type { DEFAULTS } from '@agent-orchestrator/core';
import type { Cluster, Redis } from 'ioredis';
import { SCRIPTS } from './generated/scripts.js';
import { toStorageError } from './storage-errors.js';
import { within } from './time-limit.js';

export type ScriptName = keyof typeof SCRIPTS;
export type StorageLimits = { readonly [K in keyof typeof DEFAULTS]: number };
/** What a script answers: text, numbers, nothing, and lists of those. */
export type Reply = string | number | null | readonly Reply[];

interface Script {
  readonly text: string;
  readonly sha: string;
}

/** Runs scripts by their hash; a server that does not know one gets its text. Nothing is defined on the client. */
export class ScriptRunner {
  readonly #client: Redis | Cluster;
  readonly #scripts: Readonly<Record<ScriptName, Script>>;

  /** @param limitMs how long an answer may take where the client itself sets no limit. */
  constructor(
    client: Redis | Cluster,
    limits: StorageLimits,
    private readonly limitMs?: number,
  ) {
    this.#client = client;
    const scripts = Object.entries(SCRIPTS).map(([name, template]) => {
      const text = template.replaceAll(/\$(\w+)/g, (all, limit: string) =>
        Object.hasOwn(limits, limit) ? String(limits[limit as keyof StorageLimits]) : all,
      );
      return [name, { text, sha: createHash('sha1').update(text).digest('hex') }];
    });
    this.#scripts = Object.fromEntries(scripts) as Record<ScriptName, Script>;
  }

  /** @throws {OrchestratorError} `storage_unavailable` when Redis can't be asked. */
  async run(name: ScriptName, keys: readonly string[], args: readonly (string | number)[]): Promise<Reply> {
    const { sha, text } = this.#scripts[name];
    try {
      return (await within(this.limitMs, this.#client.evalsha(sha, keys.length, ...keys, ...args))) as Reply;
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw toStorageError(error);
    }
    try {
      return (await within(this.limitMs, this.#client.eval(text, keys.length, ...keys, ...args))) as Reply;
    } catch (error) {
      throw toStorageError(error);
    }
  }
}
