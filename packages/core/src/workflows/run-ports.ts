import type { Progress } from '../protocol/task.js';
import type { Clock } from '../runtime/clock.js';
import type { Hooks } from '../runtime/hooks.js';
import type { Logger } from '../runtime/logger.js';
import type { Random } from '../runtime/random.js';
import type { ContractChecks } from '../services/contracts.js';
import type { ServiceCaller } from '../services/service-caller.js';
import type { Storage } from '../storage/storage.js';
import type { Claim } from '../storage/task-queue.js';
import type { Command } from './requested-step.js';

/** Dependencies of a workflow run. */
export interface RunPorts {
  readonly storage: Storage;
  readonly caller: ServiceCaller;
  readonly contracts: ContractChecks;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly hooks: Hooks;
  /** Whether tenants see the messages of errors other than `OrchestratorError`. */
  readonly exposeErrors: boolean;
  /** Types whose runs read the messages of their session first: those come with a claim from then on. */
  readonly readsMessages: Set<string>;
  readonly limits: {
    readonly maxSteps: number;
    readonly callTries: number;
    /** Time after which a function that requests new steps, but not those in its journal, is a mismatch. */
    readonly mismatchMs: number;
    /** Time that an idle run stays in memory before its task is parked. */
    readonly parkAfterMs: number;
  };
}

/** What the context of a workflow needs of its run. */
export interface ContextRun {
  readonly claim: Pick<Claim, 'task' | 'seed' | 'sessionMessages'>;
  readonly signal: AbortSignal;
  readonly cancelled: boolean;
  readonly replaying: boolean;
  readonly hasNoSteps: boolean;
  /** The workflow's time, epoch ms. */
  readonly now: number;
  request(command: Command): Promise<unknown>;
  report(progress: Progress): Promise<void>;
}

/** What the context of a workflow needs besides its run. */
export type ContextPorts = Pick<RunPorts, 'contracts' | 'readsMessages' | 'storage'> & {
  readonly caller: { service(name: string): unknown };
};

/** Callbacks of a run to its worker. */
export interface RunOwner {
  /** Whether another idle run may stay in memory. */
  mayIdle(): boolean;
  /** The run became idle, or active again. */
  onIdle(idle: boolean): void;
}
