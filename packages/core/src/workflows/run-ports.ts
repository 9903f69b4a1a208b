import type { Clock } from '../runtime/clock.js';
import type { Logger } from '../runtime/logger.js';
import type { Random } from '../runtime/random.js';
import type { ServiceCaller } from '../services/service-caller.js';
import type { Storage } from '../storage/storage.js';

/** What a run of a workflow reaches the world by. */
export interface RunPorts {
  readonly storage: Storage;
  readonly caller: ServiceCaller;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Whether tenants see the text of errors that are not this project's. */
  readonly exposeErrors: boolean;
  readonly limits: {
    readonly maxSteps: number;
    readonly callTries: number;
    /** How long a function that asks for something new may leave out what its journal has, before that is a mismatch. */
    readonly mismatchMs: number;
    /** How long a run whose branches all seem to wait is kept before its task is parked. */
    readonly parkAfterMs: number;
  };
}

/** What a run tells its worker. */
export interface RunOwner {
  /** Whether one more run may be kept that only waits. */
  mayIdle(): boolean;
  /** It only waits now, or no longer does. */
  onIdle(idle: boolean): void;
}
