import { createHash } from 'node:crypto';
import { DEFAULTS } from '@agent-orchestrator/core/protocol';
import type { Cluster, Redis } from 'ioredis';
import type { Database } from '../server/database.js';
import { SCRIPTS } from '../generated/scripts.js';
import { toStorageError } from '../server/storage-errors.js';
import type { Topology } from '../server/topology.js';
import { type TimeLimit, unlimited } from '../server/time-limit.js';

export type ScriptName = keyof typeof SCRIPTS;
export type StorageLimits = { readonly [K in keyof typeof DEFAULTS]: number };
/** Differences from core: a server keeps more of a tenant than the memory of a process. */
export const REDIS_DEFAULTS: StorageLimits = {
  ...DEFAULTS,
  maxStoredBytes: 4 * 1024 ** 3,
  maxEventBytes: 256 * 1024 ** 2,
};
/** A script's answer: text, numbers, null, and lists of those. */
export type Reply = string | number | null | readonly Reply[];

interface Script {
  readonly text: string;
  readonly sha: string;
}

/**
 * Runs scripts by their hash; a server that does not know one gets its text. Nothing is defined on the
 * client.
 */
export class ScriptRunner {
  readonly #client: Redis | Cluster;
  readonly #scripts: Readonly<Record<ScriptName, Script>>;

  /** @param limit of an answer, where the client itself sets none. */
  constructor(
    private readonly topology: Topology,
    limits: StorageLimits,
    private readonly database: Database,
    private readonly limit: TimeLimit = unlimited,
  ) {
    this.#client = topology.client;
    const constants: Readonly<Record<string, string | number>> = {
      ...limits,
      database: database.number,
    };
    const scripts = Object.entries(SCRIPTS).map(([name, template]) => {
      const text = template.replaceAll(/\$(\w+)/g, (all, limit: string) =>
        Object.hasOwn(constants, limit) ? String(constants[limit]) : all,
      );
      return [name, { text, sha: createHash('sha1').update(text).digest('hex') }];
    });
    this.#scripts = Object.fromEntries(scripts) as Record<ScriptName, Script>;
  }

  /** @throws {OrchestratorError} `storage_unavailable` when Redis does not answer. */
  async run(name: ScriptName, keys: readonly string[], args: readonly (string | number)[]): Promise<Reply> {
    const { sha } = this.#scripts[name];
    const check = this.database.check();
    if (check) await check;
    try {
      return (await this.limit(this.#client.evalsha(sha, keys.length, ...keys, ...args))) as Reply;
    } catch (error) {
      if (!isUnknown(error)) throw toStorageError(error);
    }
    return this.#runText(name, keys, args);
  }

  /**
   * Stores new values and runs a script, in one step.
   * @param values keys and values in turn. If one of the keys exists, none is stored; the script has to
   *   detect that.
   * @throws {OrchestratorError} `storage_unavailable` when Redis does not answer.
   */
  async runStoring(
    values: readonly string[],
    name: ScriptName,
    keys: readonly string[],
    args: readonly (string | number)[],
  ): Promise<Reply> {
    const { sha } = this.#scripts[name];
    const check = this.database.check();
    if (check) await check;
    const act = () =>
      this.limit(
        this.topology.inOneStep((client) => [
          client.msetnx(...values),
          client.evalsha(sha, keys.length, ...keys, ...args),
        ]),
      );
    try {
      // After a lost connection the client repeats unanswered commands by itself, but not a MULTI that was
      // answered. The transaction may then have run, in one step or in two: a repeat changes nothing.
      const answers = await act().catch((error: unknown) =>
        isAborted(error) ? act() : Promise.reject(error),
      );
      // Without an answer the outcome is unknown: the caller finds out, as if nothing had been stored.
      const [error, reply = null] = answers?.[1] ?? [];
      if (!error) return reply as Reply;
      if (!isUnknown(error)) throw error;
    } catch (error) {
      throw toStorageError(error);
    }
    // The values are stored: the text of the script continues from there.
    return this.#runText(name, keys, args);
  }

  async #runText(
    name: ScriptName,
    keys: readonly string[],
    args: readonly (string | number)[],
  ): Promise<Reply> {
    const { text } = this.#scripts[name];
    // The answer may have come over another connection than the checked one.
    const check = this.database.check();
    if (check) await check;
    try {
      return (await this.limit(this.#client.eval(text, keys.length, ...keys, ...args))) as Reply;
    } catch (error) {
      throw toStorageError(error);
    }
  }
}

/** Whether a transaction was aborted by the loss of its connection. */
function isAborted(error: unknown): boolean {
  return (
    error instanceof Error &&
    (error.name === 'AbortError' || error.message.startsWith('ERR EXEC without MULTI'))
  );
}

function isUnknown(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('NOSCRIPT');
}
