import type { Claim, ClaimParams, Lease } from '@agent-orchestrator/core/storage';
import type { RedisState } from '../scripts/tenant-steps.js';
import type { ClaimStrategy } from './claim-strategy.js';
import { poolOf } from './pool.js';
import type { Tenants } from './rotations.js';

/** Maximum of tasks in one claim: the worker starts on these while the server finds the next ones. */
const MAX_PER_CLAIM = 64;

/** Claims tasks for workers, so that a worker has at most one task that has lost several workers in a row. */
export class Claims {
  /** By worker: the one task it runs that has lost several leases before. */
  readonly #suspects = new Map<string, Lease>();
  /** Workers with a claim in flight that may include such a task. */
  readonly #mayGetSuspect = new Set<string>();

  constructor(
    private readonly state: RedisState,
    private readonly tenants: Tenants,
    private readonly strategy: ClaimStrategy,
  ) {}

  async claim(request: ClaimParams): Promise<readonly Claim[]> {
    this.state.checkOpen();
    const { workerId, claimSlot = workerId } = request;
    this.state.parts.wakeups.addWorker(workerId);
    const pool = poolOf(request.runs);
    await this.tenants.open(pool);
    await this.#checkSuspect(workerId);
    const otherMay = this.#mayGetSuspect.has(workerId);
    const maySuspect = !this.#suspects.has(workerId) && !otherMay;
    if (maySuspect) this.#mayGetSuspect.add(workerId);
    try {
      const max = Math.min(request.max, MAX_PER_CLAIM);
      const params = { ...request, claimSlot, max, begins: Math.min(request.begins ?? max, max), maySuspect };
      const claims = await this.strategy.claim(params, pool);
      for (const { task, token, lost } of claims) {
        if (lost) this.#suspects.set(workerId, { tenantId: task.tenant_id, taskId: task.task_id, token });
      }
      // The other claim may have got no such task, and this one has left some for it.
      if (otherMay && claims.length < params.max) this.state.parts.wakeups.publish({ kind: 'ready' });
      return claims;
    } finally {
      if (maySuspect) this.#mayGetSuspect.delete(workerId);
    }
  }

  /** Its lease may have expired without the worker's knowledge. */
  async #checkSuspect(workerId: string): Promise<void> {
    const suspect = this.#suspects.get(workerId);
    if (!suspect) return;
    const { tenantId, taskId, token } = suspect;
    const changes = await this.state.run(tenantId, 'changesSince', taskId, token, Number.MAX_SAFE_INTEGER);
    if (changes === null) this.#suspects.delete(workerId);
  }

  /** A worker has settled a task, or lost it. */
  released({ taskId, token }: Lease): void {
    for (const [workerId, suspect] of this.#suspects) {
      if (suspect.taskId === taskId && suspect.token === token) this.#suspects.delete(workerId);
    }
  }

  forget(workerId: string): void {
    this.#suspects.delete(workerId);
    this.strategy.forget(workerId);
  }
}
