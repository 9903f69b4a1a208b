import { OrchestratorError } from '../protocol/errors.js';
import type { Clock } from '../runtime/clock.js';
import type { Random } from '../runtime/random.js';
import type { SystemEvents } from '../storage/system-events.js';
import type { Wakeups } from '../storage/wakeups.js';
import type { Command, CommandName, CommandParams, CommandResult } from './command.js';
import { SEEDED } from './commands.js';
import { EffectDelivery } from './effect-delivery.js';
import { Engine } from './engine.js';
import { type EngineLimits, EngineState } from './engine-state.js';
import type { ReadName, ReadParams, ReadResult } from './reads.js';
import { finite } from './unlimited.js';

type MaybePromise<T> = T | Promise<T>;

/** Called with each command and its result once it is carried out, in order, before its effects are delivered. */
export type CommandObserver = (command: Command, result: CommandResult<CommandName>) => void;

/**
 * The only way from the ports of a storage to its engine. A gate stamps a command with time and seed, carries it out, and
 * delivers result and effects; a storage with a log may delay these until the command is durable.
 */
export interface CommandGate {
  readonly wakeups: Wakeups;
  /** @throws {OrchestratorError} `storage_unavailable` once it is closed. */
  checkOpen(): void;
  readonly systemEvents: SystemEvents;
  readonly clock: Clock;
  execute<N extends CommandName>(name: N, params: CommandParams<N>): MaybePromise<CommandResult<N>>;
  read<N extends ReadName>(name: N, params: ReadParams<N>): MaybePromise<ReadResult<N>>;
  /** Calls `onNews` after each command that appends to the tenant's log, until the returned function is called. */
  follow(tenantId: string, onNews: () => void): MaybePromise<() => void>;
}

export interface EngineGateOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: EngineLimits;
  readonly onCommand?: CommandObserver | undefined;
}

/** A gate without a log: results and effects are delivered at once. */
export class EngineGate implements CommandGate {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly wakeups: Wakeups;
  readonly systemEvents: SystemEvents;
  readonly #delivery: EffectDelivery;
  readonly #random: Random;
  readonly #onCommand: CommandObserver | undefined;
  #closed = false;

  constructor({ clock, random, limits, onCommand }: EngineGateOptions) {
    this.clock = clock;
    this.#delivery = new EffectDelivery(clock);
    this.#random = random;
    this.#onCommand = onCommand;
    this.wakeups = this.#delivery.wakeups;
    this.systemEvents = this.#delivery.systemEvents;
    this.engine = new Engine(new EngineState({ epoch: newEpoch(random), limits: inJson(limits) }));
  }

  close(): void {
    this.#closed = true;
  }

  /** @throws {OrchestratorError} `storage_unavailable` after `close`. */
  checkOpen(): void {
    if (this.#closed) throw new OrchestratorError('storage_unavailable', 'the storage is closed');
  }

  execute<N extends CommandName>(name: N, params: CommandParams<N>): CommandResult<N> {
    this.checkOpen();
    const command = stamped(name, params, this.clock, this.#random);
    const result = this.engine.execute(command);
    this.#onCommand?.(command, result);
    this.#delivery.deliver(this.engine.takeEffects());
    return result;
  }

  read<N extends ReadName>(name: N, params: ReadParams<N>): ReadResult<N> {
    this.checkOpen();
    return this.engine.read({ name, at: this.clock.now(), params });
  }

  follow(tenantId: string, onNews: () => void): () => void {
    this.execute('events.follow', { tenantId });
    const unfollow = this.#delivery.follow(tenantId, onNews);
    return () => {
      unfollow();
      if (!this.#closed) this.execute('events.unfollow', { tenantId });
    };
  }
}

/** A command of this moment. */
export function stamped<N extends CommandName>(
  name: N,
  params: CommandParams<N>,
  clock: Clock,
  random: Random,
): Command<N> {
  const at = clock.now();
  return SEEDED.has(name) ? { name, at, seed: random.uuid(), params } : { name, at, params };
}

/** Epoch of event logs that no reader knows yet. */
export function newEpoch(random: Random): string {
  return random.uuid().replaceAll('-', '').slice(0, 12);
}

/** Limits without an infinite one. */
export function inJson(limits: EngineLimits): EngineLimits {
  const all: Record<string, number> = { ...limits };
  for (const [name, limit] of Object.entries(all)) all[name] = finite(limit);
  return all as unknown as EngineLimits;
}
