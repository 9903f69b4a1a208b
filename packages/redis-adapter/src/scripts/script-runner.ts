import { createHash } from 'node:crypto';
import type { Writable } from 'node:stream';
import { DEFAULTS, TRANSITIONS } from '@agent-orchestrator/core';
import type { ChainableCommander, Cluster, Redis } from 'ioredis';
import type { Database } from '../server/database.js';
import { SCRIPTS } from '../generated/scripts.js';
import { toStorageError } from '../server/storage-errors.js';
import { within } from '../server/time-limit.js';

export type ScriptName = keyof typeof SCRIPTS;
export type StorageLimits = { readonly [K in keyof typeof DEFAULTS]: number };
/** Where nothing else is set: a tenant may keep more on a server than in the memory of a process. */
export const REDIS_DEFAULTS: StorageLimits = {
  ...DEFAULTS,
  maxStoredBytes: 4 * 1024 ** 3,
  maxEventBytes: 256 * 1024 ** 2,
};
/** What a script answers: text, numbers, nothing, and lists of those. */
export type Reply = string | number | null | readonly Reply[];

/** For each command its error, or its answer. */
type Answers = [error: Error | null, result: unknown][];
/** The end of a transaction that was refused because of one of its commands. */
type Refused = Error & { readonly previousErrors?: readonly Error[] };
type Sender = Pick<Redis | ChainableCommander, 'msetnx' | 'evalsha'>;

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
    private readonly database: Database,
    private readonly limitMs?: number,
  ) {
    this.#client = client;
    const constants: Readonly<Record<string, string | number>> = {
      ...limits,
      database: database.number,
      transitions: TRANSITIONS.map(({ from, to }) => `${from ?? ''}>${to}`).join(' '),
    };
    const scripts = Object.entries(SCRIPTS).map(([name, template]) => {
      const text = template.replaceAll(/\$(\w+)/g, (all, limit: string) =>
        Object.hasOwn(constants, limit) ? String(constants[limit]) : all,
      );
      return [name, { text, sha: createHash('sha1').update(text).digest('hex') }];
    });
    this.#scripts = Object.fromEntries(scripts) as Record<ScriptName, Script>;
  }

  /** @throws {OrchestratorError} `storage_unavailable` when Redis can't be asked. */
  async run(name: ScriptName, keys: readonly string[], args: readonly (string | number)[]): Promise<Reply> {
    const { sha } = this.#scripts[name];
    const check = this.database.check();
    if (check) await check;
    try {
      return (await within(this.limitMs, this.#client.evalsha(sha, keys.length, ...keys, ...args))) as Reply;
    } catch (error) {
      if (!isUnknown(error)) throw toStorageError(error);
    }
    return this.#runText(name, keys, args);
  }

  /**
   * Stores values where there are none, and runs a script, in one step.
   * @param values keys and values in turn. When there is one of the keys, none is stored; that the script has to find out.
   * @throws {OrchestratorError} `storage_unavailable` when Redis can't be asked.
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
      within(
        this.limitMs,
        this.#inOneStep((client) => [
          client.msetnx(...values),
          client.evalsha(sha, keys.length, ...keys, ...args),
        ]),
      );
    try {
      // When its connection was lost, the client sends again by itself what was not answered, without the beginning of the
      // transaction if that was. It may have been done then, in one step or in two: done again it changes nothing.
      const answers = await act().catch((error: unknown) =>
        isAborted(error) ? act() : Promise.reject(error),
      );
      // Without an answer nobody knows: that is for whoever asks to find out, as if nothing had been stored.
      const [error, reply = null] = answers?.[1] ?? [];
      if (!error) return reply as Reply;
      if (!isUnknown(error)) throw error;
    } catch (error) {
      throw toStorageError(error);
    }
    // What was stored is there: the text of the script goes on with it.
    return this.#runText(name, keys, args);
  }

  /**
   * Commands that are done all or none. They are sent as they are where there is but one server, which takes much less than
   * a pipeline of the client's.
   */
  async #inOneStep(commands: (client: Sender) => readonly unknown[]): Promise<Answers | null> {
    const client = this.#client;
    if (!sendsInOrder(client)) {
      const step = client.multi();
      commands(step);
      return step.exec().catch((error: Refused) => Promise.reject(error.previousErrors?.[0] ?? error));
    }
    let refusal: unknown;
    const done = together(client, () => {
      for (const queued of [client.multi({ pipeline: false }), ...commands(client)]) {
        (queued as Promise<unknown>).catch((error: unknown) => {
          refusal ??= error;
        });
      }
      return client.exec();
    });
    return done.catch((error: unknown) => Promise.reject(refusal ?? error));
  }

  async #runText(
    name: ScriptName,
    keys: readonly string[],
    args: readonly (string | number)[],
  ): Promise<Reply> {
    const { text } = this.#scripts[name];
    // The answer may have come over another connection than the one that was checked.
    const check = this.database.check();
    if (check) await check;
    try {
      return (await within(this.limitMs, this.#client.eval(text, keys.length, ...keys, ...args))) as Reply;
    } catch (error) {
      throw toStorageError(error);
    }
  }
}

/** Whether what is sent at once reaches one server, one after the other. */
function sendsInOrder(client: Redis | Cluster): client is Redis {
  return !client.isCluster && !client.options.enableAutoPipelining;
}

/** What is sent meanwhile goes out at once, so that the server is woken but once. Without a connection nothing is held back. */
function together<T>({ stream }: { readonly stream?: Writable }, send: () => T): T {
  stream?.cork();
  try {
    return send();
  } finally {
    stream?.uncork();
  }
}

/** Whether a transaction was not carried through because its connection was lost. */
function isAborted(error: unknown): boolean {
  return (
    error instanceof Error &&
    (error.name === 'AbortError' || error.message.startsWith('ERR EXEC without MULTI'))
  );
}

function isUnknown(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('NOSCRIPT');
}
