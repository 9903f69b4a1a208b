import { z } from 'zod';
import type { Clock } from './runtime/clock.js';
import type { Logger } from './runtime/logger.js';
import { DEFAULTS } from './protocol/settings.js';
import { validate } from './protocol/validation.js';
import type { Random } from './runtime/random.js';
import type { ServiceSettings } from './services/service-settings.js';
import type { Storage } from './storage/storage.js';
import { OrchestratorError } from './protocol/errors.js';

export const ROLES = ['all', 'api', 'worker'] as const;
export type Role = (typeof ROLES)[number];

/** What becomes of a promise that a workflow or a service of this process leaves rejected, with nothing to catch it. */
export const UNHANDLED_REJECTIONS = ['log', 'node'] as const;
export type UnhandledRejections = (typeof UNHANDLED_REJECTIONS)[number];

export interface OrchestratorOptions {
  /** Default: in memory; nothing survives the process. A storage that is given stays open after `stop`. */
  readonly storage?: Storage;
  /**
   * What this process does. `api`: takes requests and notifications, runs no tasks. `worker`: the same as `all`, but its
   * server answers health checks only. Every role sweeps. Default `all`.
   */
  readonly role?: Role;
  readonly services?: Readonly<Record<string, ServiceSettings>>;
  /** Tasks that this process runs at once; parked ones do not count. 1 to 100,000, default 100. */
  readonly concurrency?: number;
  /**
   * Tasks that a worker may claim ahead of its free slots, so that the next one is there when one ends: fewer, down to
   * none, the longer tasks take. Worth it where the storage is in another process. At most 100,000, default 0.
   */
  readonly prefetch?: number;
  /** How long a worker may be silent before its tasks are another's: 100 ms to 24 h. Default 30 s. */
  readonly leaseMs?: number;
  /** How often leases are renewed: less than the lease. Default a third of it. */
  readonly renewMs?: number;
  /** How often to look for what is due: 1 ms to 1 h. Default 500 ms. */
  readonly sweepMs?: number;
  /** How long a function that asks for something new may leave out what its journal has. Default 5 s. */
  readonly mismatchMs?: number;
  /**
   * How long a workflow whose branches all wait is kept in memory before its task is parked. What is reported within that
   * time needs no replay, and a branch that awaits something foreign for so long goes on. At most 24 h; 0 parks at once.
   * Default 1 s.
   */
  readonly parkAfterMs?: number;
  /** Waiting tasks of a tenant before `queue_full`. Default 200,000. */
  readonly maxWaiting?: number;
  readonly clock?: Clock;
  readonly random?: Random;
  /** Default: silent. What it throws is lost. */
  readonly logger?: Logger;
  /**
   * Whether tenants see the text of errors that workflows and services of this process throw and that are no
   * `OrchestratorError`. Default `false`: they see that there was one; its text, its causes and its stack are in the log, and
   * in what `registry.explain` says of the task.
   */
  readonly exposeErrors?: boolean;
  /**
   * A promise that a workflow left rejected, with nothing to catch it, would end the process and with it every other task.
   * `log` (default): while this process runs tasks it is logged instead; a host that listens to `unhandledRejection` itself
   * decides whether the process ends. `node`: Node decides.
   */
  readonly unhandledRejections?: UnhandledRejections;
}

const DAY_MS = 24 * 60 * 60_000;
const MOST_TASKS = 100_000;

const schema = z.object({
  role: z.enum(ROLES).default('all'),
  concurrency: z.int().min(1).max(MOST_TASKS).default(100),
  prefetch: z.int().min(0).max(MOST_TASKS).default(0),
  leaseMs: z.int().min(100).max(DAY_MS).default(DEFAULTS.leaseMs),
  renewMs: z.int().min(1).max(DAY_MS).optional(),
  sweepMs: z.int().min(1).max(3_600_000).default(DEFAULTS.sweepMs),
  mismatchMs: z.int().min(1).max(DAY_MS).default(5_000),
  parkAfterMs: z.int().min(0).max(DAY_MS).default(DEFAULTS.parkAfterMs),
  maxWaiting: z.int().min(1).default(DEFAULTS.maxWaiting),
  exposeErrors: z.boolean().default(false),
  unhandledRejections: z.enum(UNHANDLED_REJECTIONS).default('log'),
});

export type CheckedOptions = Omit<z.output<typeof schema>, 'renewMs'> & { readonly renewMs: number };

/** @throws {OrchestratorError} `invalid_request` that names the option. */
export function checkOptions(options: OrchestratorOptions): CheckedOptions {
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
