import { OrchestratorError } from '@agent-orchestrator/core';
import { type PortableRecord, settingsToWire } from '@agent-orchestrator/core/storage';
import { settingsOf } from '../tenants/stored-settings.js';
import type { Tenants } from '../queue/rotations.js';
import type { RedisState } from '../scripts/tenant-steps.js';
import { answerOf } from '../server/storage-errors.js';
import { stateOf } from '../tasks/task-codec.js';
import { batchIds, batchRecord, itemRecords, sessionRecords } from './export-groups.js';
import { otherRecords, scan } from './export-others.js';
import { TaskExport } from './export-tasks.js';
import type { TenantKeys, WholeState } from './stored-records.js';

const META = /:tasks:\{([^}]*)\}:(@meta)$/;
/** Names in an error, at most. */
const NAMED = 5;

export function tenantKeys({ keys }: RedisState, tenantId: string): TenantKeys {
  return {
    meta: keys.meta(tenantId),
    prefix: keys.task(tenantId, ''),
    session: (id) => keys.session(tenantId, id),
    batch: (id) => keys.task(tenantId, `@batch:${id}`),
  };
}

/** The time of the storage, epoch ms. */
export async function timeOf({ parts }: RedisState): Promise<number> {
  if (parts.clock) return parts.clock.now();
  const [server] = parts.topology.masters();
  if (!server) throw new OrchestratorError('storage_unavailable', 'Redis: expected a server, got none');
  const [seconds, micros] = (await answerOf(server.time())) as unknown as [string | number, string | number];
  return Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000);
}

/** @throws {OrchestratorError} `conflict` while workers are alive. */
export async function refuseWorkers(state: RedisState): Promise<void> {
  const flat = (await state.runSystem('listWorkers', state.now)) as readonly string[];
  const workers = flat.filter((_, at) => at % 2 === 0);
  if (workers.length === 0) return;
  throw inUse(`${workers.length} workers that are alive: ${namesOf(workers)}`);
}

function inUse(got: string): OrchestratorError {
  const message = `Redis: expected a storage that no process uses, got ${got}: stop all orchestrators first`;
  return new OrchestratorError('conflict', message, { retryable: false });
}

function namesOf(names: readonly string[]): string {
  const rest = names.length - NAMED;
  return `${names.slice(0, NAMED).join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
}

/** Reads everything of a storage that no process uses. */
export class RedisExport {
  constructor(
    private readonly state: RedisState,
    private readonly tenants: Tenants,
    private readonly signal: AbortSignal,
  ) {}

  async *records(): AsyncGenerator<PortableRecord> {
    await this.state.parts.database.check();
    await refuseWorkers(this.state);
    const now = await timeOf(this.state);
    for await (const tenantId of this.#tenantIds()) await this.#refuseLeases(tenantId, now);
    for await (const tenantId of this.#tenantIds()) yield* this.#tenant(tenantId);
    yield* otherRecords(this.state, now);
  }

  /** On a Cluster the list of tenants may lack one, after a crash between two steps: its own keys are looked for. */
  async *#tenantIds(): AsyncGenerator<string> {
    const { topology, keys } = this.state.parts;
    if (topology.stepsSpanTenants) {
      for await (const page of this.tenants.pages()) yield* page;
      return;
    }
    const found: string[] = [];
    for await (const [tenantId] of scan(topology.masters(), keys.scans.tenants, META)) found.push(tenantId);
    yield* found.toSorted();
  }

  /** A lease that has not expired may be that of a worker that is only away. */
  async #refuseLeases(tenantId: string, now: number): Promise<void> {
    this.signal.throwIfAborted();
    const { client, keys } = this.state.parts;
    const running = await answerOf(client.hget(keys.meta(tenantId), 'running'));
    if (Number(running ?? 0) <= 0) return;
    let cursor = '0';
    do {
      const [next, found] = await answerOf(client.hscan(keys.task(tenantId, '@live'), cursor, 'COUNT', 500));
      for (let at = 0; at < found.length; at += 2) {
        const line = found[at + 1] as string;
        const expires = expiryOf(line);
        if (expires === undefined || expires <= now) continue;
        const { worker = 'unknown' } = stateOf(line);
        const left = Math.ceil((expires - now) / 1_000);
        throw inUse(
          `a lease of task ${String(found[at])} of tenant ${tenantId} by worker ${worker}, which ends in ${left} s`,
        );
      }
      cursor = next;
    } while (cursor !== '0');
  }

  async *#tenant(tenantId: string): AsyncGenerator<PortableRecord> {
    this.signal.throwIfAborted();
    const { client } = this.state.parts;
    const keys = tenantKeys(this.state, tenantId);
    const batches = await batchIds(client, keys);
    for (const id of batches)
      // What a process has left that died while it submitted a batch.
      if ((await answerOf(client.hexists(keys.batch(id), 'total'))) === 1)
        await this.state.createStaged(tenantId, id);
    const meta = await answerOf(client.hgetall(keys.meta));
    let isWritten = false;
    const tenant = tenantRecord(tenantId, meta);
    const { weight, paused, ...limits } = settingsOf(new Map(Object.entries(meta)));
    const isSet = weight !== 1 || paused || Object.keys(limits).length > 0;
    if (isSet) {
      isWritten = true;
      yield tenant;
    }
    for await (const record of this.#parts(tenantId, keys, batches)) {
      this.signal.throwIfAborted();
      if (!isWritten) yield tenant;
      isWritten = true;
      yield record;
    }
    const after = await answerOf(client.hget(keys.meta, 'seq'));
    if (Number(after ?? 0) !== tenant.seq) throw inUse(`tenant ${tenantId}, which has changed meanwhile`);
  }

  async *#parts(
    tenantId: string,
    keys: TenantKeys,
    batches: readonly string[],
  ): AsyncGenerator<PortableRecord> {
    const { client } = this.state.parts;
    yield* sessionRecords(client, tenantId, keys);
    const kept: string[] = [];
    for (const id of batches) {
      const record = await batchRecord(client, tenantId, id, keys);
      if (!record) continue;
      kept.push(id);
      yield record;
    }
    yield* new TaskExport(client, tenantId, keys).records();
    for (const id of kept) yield* itemRecords(client, tenantId, id, keys);
  }
}

function tenantRecord(tenantId: string, meta: Readonly<Record<string, string>>) {
  const { seq, claimed, group_sequence: lined } = meta;
  return {
    kind: 'tenant',
    tenant_id: tenantId,
    ...settingsToWire(settingsOf(new Map(Object.entries(meta)))),
    seq: Number(seq ?? 0),
    claimed: Number(claimed ?? 0),
    lined: Number(lined ?? 0),
  } as const;
}

/** End of the lease of a leased task. */
function expiryOf(line: string): number | undefined {
  const fast = /^[la] \d+ \d+ (\d+) /.exec(line);
  if (fast) return Number(fast[1]);
  if (!line.startsWith('{')) return undefined;
  const { state, expires } = JSON.parse(line) as WholeState;
  return state === 'leased' ? expires : undefined;
}
