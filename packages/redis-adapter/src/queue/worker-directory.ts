import { DEFAULTS } from '@agent-orchestrator/core/protocol';
import {
  type AnnouncedType,
  storageEvents,
  type WorkerDirectory,
  type WorkerEntry,
  type AnnounceParams,
  type LeaveWorkerParams,
  type ReadAnnouncedTypeParams,
} from '@agent-orchestrator/core/storage';
import type { Claims } from './claims.js';
import { poolOf } from './pool.js';
import type { RedisState } from '../scripts/tenant-steps.js';
import type { Tenants } from './rotations.js';

export class RedisWorkerDirectory implements WorkerDirectory {
  constructor(
    private readonly state: RedisState,
    private readonly tenants: Tenants,
    private readonly claims: Claims,
  ) {}

  async announce({ workerId, runs, leaseMs = DEFAULTS.leaseMs }: AnnounceParams): Promise<void> {
    const pool = poolOf(runs);
    const types = runs.flatMap(({ type, versions: _, ...defaults }) => [
      type,
      Object.keys(defaults).length === 0 ? '' : JSON.stringify(defaults),
    ]);
    const reply = await this.state.runSystem(
      'announce',
      this.state.now,
      workerId,
      JSON.stringify(runs),
      pool.id,
      leaseMs,
      ...types,
    );
    const [isOpening, joined] = reply as [number, number];
    const { systemEvents } = this.state.parts;
    if (joined === 1) systemEvents.publish(storageEvents.workerJoined(workerId));
    this.state.parts.wakeups.addWorker(workerId);
    // Also after a restart that lost everything: a new rotation needs all ready tenants.
    if (isOpening === 1) await this.tenants.addReadyTenants(pool);
    this.state.parts.wakeups.publish({ kind: 'ready' });
  }

  async leave({ workerId }: LeaveWorkerParams): Promise<void> {
    const left = await this.state.runSystem('leave', this.state.now, workerId);
    const { wakeups, systemEvents } = this.state.parts;
    if (left === 1) systemEvents.publish(storageEvents.workerLeft(workerId));
    this.claims.forget(workerId);
    wakeups.removeWorker(workerId);
  }

  async announced({ type }: ReadAnnouncedTypeParams): Promise<AnnouncedType | undefined> {
    const reply = await this.state.runSystem('announced', this.state.now, type);
    if (reply === null) return undefined;
    const [agoMs, defaults] = reply as [number, string];
    return { agoMs, ...(defaults !== '' && (JSON.parse(defaults) as Omit<AnnouncedType, 'agoMs'>)) };
  }

  async list(): Promise<readonly WorkerEntry[]> {
    const flat = (await this.state.runSystem('listWorkers', this.state.now)) as readonly string[];
    const found: WorkerEntry[] = [];
    for (let at = 0; at < flat.length; at += 2) {
      const entry = JSON.parse(flat[at + 1] as string) as Omit<WorkerEntry, 'workerId'>;
      found.push({ workerId: flat[at] as string, ...entry });
    }
    return found;
  }
}
