import type {
  AnnouncedType,
  WorkerEntry,
  AnnounceParams,
  LeaveWorkerParams,
  ReadAnnouncedTypeParams,
} from '../../storage/worker-directory.js';
import { storageEvents } from '../../storage/system-events.js';
import type { EngineState } from '../engine-state.js';

/** Workers and the task types they have announced. */
export class Workers {
  constructor(private readonly state: EngineState) {}

  announce({ workerId, runs, leaseMs = this.state.limits.leaseMs }: AnnounceParams): void {
    const now = this.state.now();
    const worker = this.state.worker(workerId, runs);
    if (worker.aliveUntil === 0) this.state.publishSystemEvent(storageEvents.workerJoined(workerId));
    worker.seenAt = now;
    worker.aliveUntil = now + leaseMs;
    for (const run of worker.runs) this.state.announced.set(run.type, { at: now, run });
    this.state.publish({ kind: 'ready' });
  }

  leave({ workerId }: LeaveWorkerParams): void {
    const worker = this.state.workers.get(workerId);
    if (!this.state.workers.delete(workerId) || worker?.aliveUntil === 0) return;
    this.state.publishSystemEvent(storageEvents.workerLeft(workerId));
  }

  announced({ type }: ReadAnnouncedTypeParams): AnnouncedType | undefined {
    const last = this.state.announced.get(type);
    if (!last) return undefined;
    const { timeoutMs, maxAttempts } = last.run;
    return {
      agoMs: this.state.now() - last.at,
      ...(timeoutMs !== undefined && { timeoutMs }),
      ...(maxAttempts !== undefined && { maxAttempts }),
    };
  }

  list(): readonly WorkerEntry[] {
    const now = this.state.now();
    const alive = [...this.state.workers].filter(([, worker]) => worker.aliveUntil > now);
    return alive.map(([workerId, { runs, seenAt, aliveUntil }]) => ({
      workerId,
      runs: structuredClone(runs),
      seenAt,
      aliveUntil,
    }));
  }
}
