import { type Clock, OrchestratorError, type Random } from '@agent-orchestrator/core';
import { storageEvents } from '@agent-orchestrator/core/storage';
import type { Cluster, Redis } from 'ioredis';
import type { PubSubWakeups } from '../pubsub/wakeups.js';
import type { Database } from '../server/database.js';
import { CompletionsChannel } from '../pubsub/completions.js';
import { Epochs } from './epoch.js';
import type { Keys } from '../server/keys.js';
import type { Topology } from '../server/topology.js';
import type { RedisSystemEvents } from '../pubsub/system-events.js';
import { answerOf, toStorageError } from '../server/storage-errors.js';
import type { Reply, ScriptName, ScriptRunner, StorageLimits } from './script-runner.js';

/** Answers to a repeated step: the effects were in the first answer, which is lost. */
const REPEATED: ReadonlySet<unknown> = new Set([
  'replayed',
  'known',
  'duplicate',
  'repeated',
  'redriven',
  'exists',
  'lease_lost',
  'not_parked',
  'already_final',
  'already_closed',
]);

const REPEAT_SYSTEM_EVENT_MS = 60_000;
const MAX_REMEMBERED = 1_000;

/** A tenant's part of a step for many tasks. */
interface Part {
  readonly tenantId: string;
  readonly args: readonly (string | number)[];
}

/** Its outcome. */
interface Outcome {
  /** Epoch ms. */
  readonly at: number;
  readonly outcome: readonly Reply[];
}

/** Shared by all parts of the adapter: runs steps on a tenant, and on the shared keys. */
export class RedisState {
  closed = false;
  /** Tenants whose effects on the shared keys still have to be applied. */
  readonly #pendingEffects = new Set<string>();
  readonly epochs: Epochs;
  readonly completions: CompletionsChannel;
  #stored = 0;
  /** By tenant: last report that it is at its limit. */
  readonly #publishedAtLimit = new Map<string, number>();

  constructor(
    readonly parts: {
      readonly topology: Topology;
      readonly client: Redis | Cluster;
      readonly database: Database;
      readonly keys: Keys;
      readonly scripts: ScriptRunner;
      readonly wakeups: PubSubWakeups;
      readonly systemEvents: RedisSystemEvents;
      readonly limits: StorageLimits;
      readonly random: Random;
      /** Absent: the server's time. */
      readonly clock: Clock | undefined;
      /** Waits of this process. */
      readonly timers: Clock;
    },
  ) {
    this.completions = new CompletionsChannel(parts.wakeups, parts.keys);
    this.epochs = new Epochs({
      fetch: (tenantId) => this.run(tenantId, 'readEvents', -1, 0, 0, '', '', 0),
      isOneServer: parts.topology.stepsSpanTenants,
    });
  }

  get keys(): Keys {
    return this.parts.keys;
  }

  /** The time for scripts: that of a test, or '' for the server's. */
  get now(): number | '' {
    return this.parts.clock?.now() ?? '';
  }

  checkOpen(): void {
    if (this.closed) throw new OrchestratorError('storage_unavailable', 'the storage is closed');
  }

  /** A step that changes a tenant, with its effects on the shared keys. */
  async change(tenantId: string, name: ScriptName, ...args: readonly (string | number)[]): Promise<Reply> {
    const [answer, effects, due] = (await this.run(tenantId, name, ...args)) as [
      Reply,
      Reply[][],
      number | null,
    ];
    await this.after(tenantId, effects, due);
    if (REPEATED.has(Array.isArray(answer) ? answer[0] : answer)) await this.resync(tenantId);
    return answer;
  }

  /** Applies all effects of a tenant's steps again, where they may be lost. */
  async resync(tenantId: string): Promise<void> {
    if (this.parts.topology.stepsSpanTenants) return;
    await this.change(tenantId, 'reconcileTenant', 1).catch(() => this.#pendingEffects.add(tenantId));
  }

  /** Retries effects that could not be applied. */
  async applyPendingEffects(): Promise<void> {
    const tenants = [...this.#pendingEffects];
    this.#pendingEffects.clear();
    await Promise.all(tenants.map((tenantId) => this.resync(tenantId)));
  }

  /** Runs a script of one tenant. Returns its answer as is. */
  async run(tenantId: string, name: ScriptName, ...args: readonly (string | number)[]): Promise<Reply> {
    this.checkOpen();
    const { keys, scripts, topology } = this.parts;
    const own = [keys.meta(tenantId), keys.events(tenantId)];
    return scripts.run(name, topology.keysOf(own, keys.system), [this.now, ...args]);
  }

  /**
   * A step for many tasks, of one tenant or of several, each part with its number of tasks and their
   * arguments.
   * @param before arguments of the script before its parts.
   * @returns for each part its answer, or its error.
   */
  async changeMany(
    name: ScriptName,
    parts: readonly Part[],
    before: readonly string[] = [],
  ): Promise<readonly (Outcome | OrchestratorError)[]> {
    this.checkOpen();
    const { keys, args } = this.#manyOf(parts, before);
    return this.#answersOf(parts, await this.parts.scripts.run(name, keys, args));
  }

  /**
   * Like `changeMany`, for a script on values stored right before, in the same step: a marker key among the
   * values shows the script whether they were stored.
   * @param values keys and values in turn.
   * @returns nothing when nothing was stored, since one of the keys exists.
   */
  async storeMany(
    name: ScriptName,
    values: readonly string[],
    parts: readonly Part[],
  ): Promise<readonly (Outcome | OrchestratorError)[] | undefined> {
    this.checkOpen();
    this.#stored += 1;
    const mark = this.keys.task(
      parts[0]?.tenantId ?? '',
      `@stored:${this.completions.process}:${this.#stored}`,
    );
    const { keys, args } = this.#manyOf(parts, [mark]);
    const reply = await this.parts.scripts.runStoring([...values, mark, ''], name, keys, args);
    return reply === null ? undefined : this.#answersOf(parts, reply);
  }

  #manyOf(parts: readonly Part[], before: readonly string[]) {
    const { keys, topology } = this.parts;
    const args: (string | number)[] = [this.now, ...before];
    for (const { tenantId, args: own } of parts)
      args.push(keys.meta(tenantId), keys.events(tenantId), ...own);
    const first = parts[0]?.tenantId ?? '';
    return { keys: topology.keysOfMany([keys.meta(first), keys.events(first)], keys.system), args };
  }

  async #answersOf(parts: readonly Part[], reply: Reply): Promise<readonly (Outcome | OrchestratorError)[]> {
    const [at, answers] = reply as [number, Reply[]];
    const toDo: Promise<void>[] = [];
    const outcomes = answers.map((answer, part) =>
      this.#partOf(parts[part]?.tenantId ?? '', answer, at, toDo),
    );
    if (toDo.length > 0) await Promise.all(toDo);
    return outcomes;
  }

  /** A script's answer for one tenant. Mostly without effects. */
  #partOf(tenantId: string, answer: Reply, at: number, toDo: Promise<void>[]): Outcome | OrchestratorError {
    if (typeof answer === 'string')
      return toStorageError(Object.assign(new Error(answer), { name: 'ReplyError' }));
    const [effects, due, ...outcome] = answer as [Reply[][] | null, number | null, ...Reply[]];
    if (effects) toDo.push(this.after(tenantId, effects, due));
    else this.#publishTimer(due);
    return { at, outcome };
  }

  /** A script on the shared keys. */
  async runSystem(name: ScriptName, ...args: readonly (string | number)[]): Promise<Reply> {
    this.checkOpen();
    return this.parts.scripts.run(name, [this.keys.system], args);
  }

  /**
   * Effects of a step: due times for the sweeper of this process, dead letters for operators, and on a
   * Cluster the shared keys, which are on another node. The reconcile over all tenants repairs them after a
   * crash or an unavailable node.
   */
  async after(tenantId: string, effects: readonly (readonly Reply[])[], due: number | null): Promise<void> {
    this.#publishTimer(due);
    for (const [effect, value] of effects) {
      await this.#apply(tenantId, effect as string, value as string | number).catch(() =>
        this.#pendingEffects.add(tenantId),
      );
    }
  }

  /** Reports a tenant at its limit of waiting tasks or stored bytes to operators, once a minute each. */
  publishAtLimit(tenantId: string): void {
    const now = (this.parts.clock ?? this.parts.timers).now();
    if (now - (this.#publishedAtLimit.get(tenantId) ?? 0) < REPEAT_SYSTEM_EVENT_MS) return;
    if (this.#publishedAtLimit.size >= MAX_REMEMBERED) this.#publishedAtLimit.clear();
    this.#publishedAtLimit.set(tenantId, now);
    this.parts.systemEvents.publish(storageEvents.tenantAtLimit(tenantId));
  }

  #publishTimer(due: number | null): void {
    if (due !== null) this.parts.wakeups.publish({ kind: 'timer', at: due });
  }

  /** Creates the remaining tasks of a batch, a portion a step. */
  async createStaged(tenantId: string, batchId: string): Promise<void> {
    while ((await this.change(tenantId, 'createStaged', batchId)) === 1);
  }

  /** On a Cluster. A step that stored something meanwhile makes it a tenant again. */
  async #forget(tenantId: string): Promise<void> {
    const { client, keys } = this.parts;
    await this.runSystem('forgetTenant', tenantId);
    // A mere follower of the log creates counters too, but no tenant.
    if ((await answerOf(client.hexists(keys.meta(tenantId), 'known'))) === 1) await this.resync(tenantId);
  }

  async #apply(tenantId: string, effect: string, value: string | number): Promise<void> {
    if (effect === 'ready') await this.runSystem('joinRotations', tenantId, value);
    else if (effect === 'dead_letter')
      this.parts.systemEvents.publish(storageEvents.deadLetter(tenantId, String(value)));
    else if (effect === 'staged') await this.createStaged(tenantId, String(value));
    else if (effect === 'forgotten') await this.#forget(tenantId);
    else await this.runSystem('indexTenant', tenantId, effect === 'due' ? value : '');
  }
}
