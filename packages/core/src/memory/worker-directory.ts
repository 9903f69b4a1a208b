import type { WorkerDirectory, WorkerEntry } from '../storage/worker-directory.js';
import type { MemoryState } from './memory-state.js';

export class MemoryWorkerDirectory implements WorkerDirectory {
  constructor(private readonly state: MemoryState) {}

  async announce({ workerId, runs }: Parameters<WorkerDirectory['announce']>[0]): Promise<void> {
    this.state.checkOpen();
    const now = this.state.now();
    this.state.worker(workerId, runs).seenAt = now;
    for (const run of runs) this.state.announced.set(run.type, now);
    this.state.ring({ bell: 'ready' });
  }

  async leave({ workerId }: Parameters<WorkerDirectory['leave']>[0]): Promise<void> {
    this.state.checkOpen();
    this.state.workers.delete(workerId);
  }

  async announcedAgoMs({
    type,
  }: Parameters<WorkerDirectory['announcedAgoMs']>[0]): Promise<number | undefined> {
    this.state.checkOpen();
    const at = this.state.announced.get(type);
    return at === undefined ? undefined : this.state.now() - at;
  }

  async list(): Promise<readonly WorkerEntry[]> {
    this.state.checkOpen();
    return [...this.state.workers].map(([workerId, { runs, seenAt }]) => ({ workerId, runs, seenAt }));
  }
}
