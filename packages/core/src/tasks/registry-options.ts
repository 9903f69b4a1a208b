import type { Random } from '../runtime/random.js';
import type { Clock } from '../runtime/clock.js';
import type { Storage } from '../storage/storage.js';
import type { TaskTypes } from './new-task.js';

/** Options of `GlobalTaskRegistry`. */
export interface RegistryOptions {
  readonly storage: Storage;
  /** Task types of this process. Default: only types that workers have announced to the storage. */
  readonly types?: TaskTypes;
  readonly clock?: Clock;
  readonly random?: Random;
  /** Maximum of waiting tasks per tenant; beyond it, submissions fail with `queue_full`. Default 200,000. */
  readonly maxWaiting?: number;
}
