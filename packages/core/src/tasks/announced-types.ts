import type { Clock } from '../runtime/clock.js';
import { OrchestratorError } from '../protocol/errors.js';
import { DEFAULTS } from '../protocol/settings.js';
import type { Storage } from '../storage/storage.js';
import type { TypeDefaults } from '../workflows/catalog.js';

/** So many types are remembered. */
const REMEMBERED = 1_000;
/** And for so long: a deployment may change their defaults. */
const REMEMBERED_MS = 60_000;

/** What workers of other processes have announced of the types that they run. */
export class AnnouncedTypes {
  readonly #known = new Map<string, { readonly until: number; readonly defaults: TypeDefaults }>();

  constructor(private readonly ports: { readonly storage: Storage; readonly clock: Clock }) {}

  /** @throws {OrchestratorError} `unknown_workflow` for a type that was not announced for ten minutes. */
  async defaults(type: string): Promise<TypeDefaults> {
    const now = this.ports.clock.now();
    const known = this.#known.get(type);
    if (known && now <= known.until) return known.defaults;
    const announced = await this.ports.storage.workers.announced({ type });
    if (!announced || announced.agoMs > DEFAULTS.unknownWorkflowAfterMs) {
      throw new OrchestratorError('unknown_workflow', `no worker runs tasks of type "${type}"`);
    }
    if (this.#known.size >= REMEMBERED) this.#known.clear();
    const { agoMs, ...defaults } = announced;
    const until = now + Math.min(DEFAULTS.unknownWorkflowAfterMs - agoMs, REMEMBERED_MS);
    this.#known.set(type, { until, defaults });
    return defaults;
  }
}
