import type {
  AnnouncedType,
  WorkerDirectory,
  WorkerEntry,
  AnnounceParams,
  LeaveWorkerParams,
  ReadAnnouncedTypeParams,
} from '../../storage/worker-directory.js';
import type { MemoryState } from '../engine-state.js';

export class MemoryWorkerDirectory implements WorkerDirectory {
  constructor(private readonly state: MemoryState) {}

  async announce({ workerId, runs, leaseMs = this.state.limits.leaseMs }: AnnounceParams): Promise<void> {
    this.state.checkOpen();
    const now = this.state.now();
    const worker = this.state.worker(workerId, runs);
    worker.seenAt = now;
    worker.aliveUntil = now + leaseMs;
    for (const run of runs) this.state.announced.set(run.type, { at: now, run });
    this.state.publish({ kind: 'ready' });
  }

  async leave({ workerId }: LeaveWorkerParams): Promise<void> {
    this.state.checkOpen();
    this.state.workers.delete(workerId);
  }

  async announced({ type }: ReadAnnouncedTypeParams): Promise<AnnouncedType | undefined> {
    this.state.checkOpen();
    const last = this.state.announced.get(type);
    if (!last) return undefined;
    const { timeoutMs, maxAttempts } = last.run;
    return {
      agoMs: this.state.now() - last.at,
      ...(timeoutMs !== undefined && { timeoutMs }),
      ...(maxAttempts !== undefined && { maxAttempts }),
    };
  }

  async list(): Promise<readonly WorkerEntry[]> {
    this.state.checkOpen();
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
