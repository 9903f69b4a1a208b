import type { Clock } from '../runtime/clock.js';
import { OrchestratorError } from '../protocol/errors.js';
import { DEFAULTS } from '../protocol/settings.js';
import type { Storage } from '../storage/storage.js';
import type { TypeDefaults } from '../storage/task-queue.js';

/** Maximum of cached types. */
const MAX_CACHED = 1_000;
/** Maximum age of a cached type: a deployment may change its defaults. */
const CACHED_MS = 60_000;

/** Cache of the task types announced by workers of other processes. */
export class AnnouncedTypes {
  readonly #cached = new Map<string, { readonly until: number; readonly defaults: TypeDefaults }>();

  constructor(private readonly ports: { readonly storage: Storage; readonly clock: Clock }) {}

  /** @throws {OrchestratorError} `unknown_workflow` for a type without an announcement in the last 10 min. */
  async defaults(type: string): Promise<TypeDefaults> {
    const now = this.ports.clock.now();
    const cached = this.#cached.get(type);
    if (cached && now <= cached.until) return cached.defaults;
    const announced = await this.ports.storage.workers.announced({ type });
    if (!announced || announced.agoMs > DEFAULTS.unknownWorkflowAfterMs) {
      throw new OrchestratorError('unknown_workflow', `no worker runs tasks of type "${type}"`);
    }
    if (this.#cached.size >= MAX_CACHED) this.#cached.clear();
    const { agoMs, ...defaults } = announced;
    const until = now + Math.min(DEFAULTS.unknownWorkflowAfterMs - agoMs, CACHED_MS);
    this.#cached.set(type, { until, defaults });
    return defaults;
  }
}
