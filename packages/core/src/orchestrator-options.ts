import { z } from 'zod';
import type { Clock } from './runtime/clock.js';
import type { Logger } from './runtime/logger.js';
import { listSchema } from './protocol/list.js';
import { DEFAULTS } from './protocol/settings.js';
import { validate } from './protocol/validation.js';
import type { Random } from './runtime/random.js';
import type { CallStage } from './services/call-stage.js';
import type { Contracts } from './services/contracts.js';
import type { ServiceSettings } from './services/service-settings.js';
import type { Storage } from './storage/storage.js';
import { type PriceTable, priceTableSchema } from './usage/price-table.js';
import { OrchestratorError } from './protocol/errors.js';

/** Functions of a process. */
export const ROLES = ['all', 'api', 'worker'] as const;
/** Function of a process: `api` accepts requests, `worker` runs tasks, `all` does both. */
export type Role = (typeof ROLES)[number];

const UNHANDLED_REJECTIONS = ['log', 'node'] as const;
/** Handling of unhandled promise rejections from workflows and in-process services: `log` keeps the process, `node` is the behaviour of Node. */
export type UnhandledRejections = (typeof UNHANDLED_REJECTIONS)[number];

/** Services by name; those with a contract are typed by it. */
type ServicesOf<C extends Contracts> = {
  readonly [S in keyof C & string]?: ServiceSettings<C[S]>;
} & { readonly [service: string]: ServiceSettings };

/** Options of `Orchestrator`. */
export interface OrchestratorOptions<C extends Contracts = Contracts> {
  /** Default: in memory; nothing survives the process. A given storage stays open after `stop`. */
  readonly storage?: Storage;
  /**
   * Role of this process. `api`: accepts requests and notifications, runs no tasks. `worker`: like `all`, but its server
   * answers health checks only. Every role sweeps. Default `all`.
   */
  readonly role?: Role;
  readonly services?: string extends keyof C ? Readonly<Record<string, ServiceSettings>> : ServicesOf<C>;
  /**
   * Schemas of the services' operations: `ctx.call` is typed by them, and checks inputs and results. With contracts, workflows may call
   * the services listed here only; `{}` lists a service without checks. Default: calls are untyped.
   */
  readonly contracts?: C;
  /** Stages of the host for each call to a service, outermost first; they run before the limit of concurrency, and not for answers from the cache. Default: none. */
  readonly callStages?: readonly CallStage[];
  /**
   * Prices of models for a million tokens, by the name that services report (`*`: all others). Usage has a cost then, which the
   * budgets of tenants can limit. Default: no costs.
   */
  readonly prices?: PriceTable;
  /** Maximum of concurrently running tasks in this process, parked ones excluded. 1 to 100,000, default 100. */
  readonly concurrency?: number;
  /**
   * Maximum of tasks claimed ahead of free slots, to hide the latency of a claim; adapts down to 0 as tasks take longer.
   * Useful for storages in another process. 0 to 100,000, default 0.
   */
  readonly prefetch?: number;
  /** Lease duration: after this time without a renewal, another worker may claim the task. 100 ms to 24 h. Default 30 s. */
  readonly leaseMs?: number;
  /** Interval of lease renewal, ms; less than `leaseMs`. Default: a third of `leaseMs`. */
  readonly renewMs?: number;
  /** Maximum interval between claims of an idle worker, in case a wake-up was lost: 10 ms to 1 h. Default 1 s. */
  readonly pollMs?: number;
  /** Maximum interval between sweeps for due timers: 1 ms to 1 h. Default 500 ms. */
  readonly sweepMs?: number;
  /** Time after which a replay that requests new steps, but not those in its journal, is a mismatch. 1 ms to 24 h. Default 5 s. */
  readonly mismatchMs?: number;
  /**
   * Time that a run with only waiting branches stays in memory before its task is parked. Within that time notifications need
   * no replay, and branches that await other promises can continue. At most 24 h; 0 parks at once. Default 1 s.
   */
  readonly parkAfterMs?: number;
  /** Maximum of waiting tasks per tenant; beyond it, submissions fail with `queue_full`. Default 200,000. */
  readonly maxWaiting?: number;
  readonly clock?: Clock;
  readonly random?: Random;
  /** Default: silent. Errors thrown by the logger are ignored. */
  readonly logger?: Logger;
  /**
   * Whether tenants see the messages of errors other than `OrchestratorError`, thrown by workflows and in-process services.
   * Default `false`: tenants get a generic message; message, causes and stack are in the log and in `registry.explain`.
   */
  readonly exposeErrors?: boolean;
  /**
   * An unhandled rejection in a workflow would end the process, and every other task with it. `log` (default): it is logged
   * while this process runs tasks; a host with its own `unhandledRejection` listener decides whether the process ends.
   * `node`: Node's default applies.
   */
  readonly unhandledRejections?: UnhandledRejections;
}

const DAY_MS = 24 * 60 * 60_000;
const MAX_TASKS = 100_000;

const stageSchema = z.custom<CallStage>((stage) => typeof stage === 'function', 'expected a function');

const schema = z.object({
  callStages: listSchema(stageSchema, { max: 100 }).default([]),
  prices: priceTableSchema.default({}),
  role: z.enum(ROLES).default('all'),
  concurrency: z.int().min(1).max(MAX_TASKS).default(100),
  prefetch: z.int().min(0).max(MAX_TASKS).default(0),
  leaseMs: z.int().min(100).max(DAY_MS).default(DEFAULTS.leaseMs),
  renewMs: z.int().min(1).max(DAY_MS).optional(),
  pollMs: z.int().min(10).max(3_600_000).default(DEFAULTS.pollMs),
  sweepMs: z.int().min(1).max(3_600_000).default(DEFAULTS.sweepMs),
  mismatchMs: z.int().min(1).max(DAY_MS).default(5_000),
  parkAfterMs: z.int().min(0).max(DAY_MS).default(DEFAULTS.parkAfterMs),
  maxWaiting: z.int().min(1).default(DEFAULTS.maxWaiting),
  exposeErrors: z.boolean().default(false),
  unhandledRejections: z.enum(UNHANDLED_REJECTIONS).default('log'),
});

export type CheckedOptions = Omit<z.output<typeof schema>, 'renewMs'> & { readonly renewMs: number };

/** @throws {OrchestratorError} `invalid_request`, naming the option. */
export function checkOptions<C extends Contracts>(options: OrchestratorOptions<C>): CheckedOptions {
  const checked = validate(schema, options, 'the options of the orchestrator', 'invalid_request', 'refused');
  const { leaseMs, renewMs = Math.max(1, Math.floor(leaseMs / 3)) } = checked;
  if (renewMs >= leaseMs) {
    throw new OrchestratorError(
      'invalid_request',
      `renewMs: expected less than the lease of ${leaseMs} ms, got ${renewMs}`,
    );
  }
  return { ...checked, renewMs };
}
