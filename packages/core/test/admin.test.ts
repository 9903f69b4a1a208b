import { describe, expect, it } from 'vitest';
import { StorageAdmin } from '../src/admin/storage-admin.js';
import { GlobalTaskRegistry, MemoryStorage, type Storage } from '../src/index.js';
import { DEFAULTS } from '../src/protocol/settings.js';
import { TenantAdmin } from '../src/tenants/tenant-admin.js';
import { ManualClock } from './harness.js';

const tenantId = 'acme';

function administered(storage: Storage) {
  const registry = new GlobalTaskRegistry({ storage });
  return new StorageAdmin({ storage, registry, tenants: new TenantAdmin({ storage }) });
}

async function submit(storage: Storage, more: object = {}): Promise<string> {
  const taskId = crypto.randomUUID();
  const task = {
    ...{
      task_id: taskId,
      type: 'work',
      priority: 4,
      payload: {},
      metadata: {},
      timeoutMs: 1_000,
      maxAttempts: 1,
    },
    ...more,
  };
  await storage.tasks.submit({ tenantId, submission: { task, onBusy: 'enqueue' }, maxWaiting: 1_000_000 });
  return taskId;
}

/** A storage with failed tasks: `began` that a worker has run, and `never` that timed out in the queue. */
async function withDeadLetters({ began, never }: { readonly began: number; readonly never: number }) {
  const clock = new ManualClock();
  const storage = new MemoryStorage({ clock });
  for (let n = 0; n < began; n += 1) await submit(storage);
  const worker = { workerId: 'w', claimId: crypto.randomUUID(), runs: [{ type: 'work', versions: [1] }] };
  const claims = await storage.queue.claim({ ...worker, max: Math.max(1, began), leaseMs: 30_000 });
  const error = { code: 'workflow_error', message: 'no', retryable: false } as const;
  for (const { task, token } of claims)
    await storage.queue.settle({
      tenantId,
      taskId: task.task_id,
      token,
      settlement: { kind: 'failed', error },
    });
  for (let n = 0; n < never; n += 1) await submit(storage);
  await clock.advance(2_000);
  while (Object.keys((await storage.queue.sweep({ max: 10_000 })).done).length > 0);
  return storage;
}

describe('redriveAll', () => {
  it('takes at most 1,000 tasks a call, and the rest from where it stopped', async () => {
    const storage = await withDeadLetters({ began: 0, never: 1_050 });
    const admin = administered(storage);
    const first = await admin.redriveAll({ tenant: tenantId }, { dryRun: true });
    expect(first).toEqual({ matched: 1_000, done: 0, next: expect.any(String) });
    const rest = await admin.redriveAll({ tenant: tenantId }, { dryRun: true, cursor: first.next });
    expect(rest).toEqual({ matched: 50, done: 0 });
  });

  it('passes over tasks that failed before they began, makes one task of each other, and counts none twice', async () => {
    const storage = await withDeadLetters({ began: 3, never: 2 });
    const admin = administered(storage);
    for (const done of [3, 0]) {
      expect(await admin.redriveAll({ tenant: tenantId })).toEqual({ matched: 5, done });
      expect((await admin.tenant(tenantId)).counts).toMatchObject({ pending: 3, failed: 5 });
    }
  });

  it('ends with its signal; at a full queue it says what was done before, and fails if nothing was', async () => {
    const storage = await withDeadLetters({ began: 2, never: 0 });
    const over = AbortSignal.abort(new Error('over'));
    await expect(administered(storage).redriveAll({ tenant: tenantId }, { signal: over })).rejects.toThrow(
      'over',
    );
    const registry = new GlobalTaskRegistry({ storage, maxWaiting: 1 });
    const limited = new StorageAdmin({ storage, registry, tenants: new TenantAdmin({ storage }) });
    expect(await limited.redriveAll({ tenant: tenantId })).toEqual({
      ...{ matched: 2, done: 1 },
      stopped: { code: 'queue_full', message: expect.any(String) },
    });
    await expect(limited.redriveAll({ tenant: tenantId })).rejects.toMatchObject({ code: 'queue_full' });
    expect(await administered(storage).redriveAll({ tenant: tenantId })).toEqual({ matched: 2, done: 1 });
  });
});

describe('discardAll', () => {
  it('removes what fits the filter, at most 1,000 tasks a call, and counts nothing twice', async () => {
    const storage = await withDeadLetters({ began: 2, never: 1_050 });
    const admin = administered(storage);
    const late = { tenant: tenantId, code: 'timeout' };
    expect(await admin.discardAll({ tenant: tenantId, code: 'unknown' })).toEqual({ matched: 0, done: 0 });
    const since = new Date(Date.now() + 86_400_000).toISOString();
    expect(await admin.discardAll({ ...late, since })).toEqual({ matched: 0, done: 0 });
    expect(await admin.discardAll(late, { dryRun: true })).toMatchObject({ matched: 1_000, done: 0 });
    const first = await admin.discardAll(late);
    expect(first).toEqual({ matched: 1_000, done: 1_000, next: expect.any(String) });
    expect(await admin.discardAll(late, { cursor: first.next })).toEqual({ matched: 50, done: 50 });
    expect(await admin.discardAll(late)).toEqual({ matched: 0, done: 0 });
    expect((await admin.tenant(tenantId)).counts).toMatchObject({ failed: 2 });
  });

  it('takes named tasks only if they are dead letters that fit', async () => {
    const storage = await withDeadLetters({ began: 2, never: 1 });
    const admin = administered(storage);
    const { items } = await admin.tasks({ tenantId, code: 'workflow_error' });
    const waiting = await submit(storage);
    const ids = items.map(({ task_id }) => task_id);
    const task_ids = [...ids, ...ids, waiting, crypto.randomUUID()];
    const filter = { tenant: tenantId, task_ids };
    expect(await admin.discardAll({ ...filter, code: 'timeout' })).toEqual({ matched: 0, done: 0 });
    expect(await admin.discardAll(filter, { dryRun: true })).toEqual({ matched: 2, done: 0 });
    expect(await admin.discardAll(filter)).toEqual({ matched: 2, done: 2 });
    expect(await admin.discardAll(filter)).toEqual({ matched: 0, done: 0 });
    expect((await admin.tenant(tenantId)).counts).toMatchObject({ pending: 1, failed: 1 });
  });
});

describe('queue', () => {
  it('has the next tasks in order, up to 1 MiB of them, and says that there are more', async () => {
    const storage = new MemoryStorage();
    const payload = 'x'.repeat(DEFAULTS.pageBytes / 2 - 10_000);
    const low = await submit(storage, { priority: 0, payload });
    const high = await submit(storage, { priority: 9, payload });
    await submit(storage, { priority: 8, payload, runAt: Date.now() + 3_600_000 });
    const { first_in_queue: all, partial } = await administered(storage).queue(tenantId, { limit: 10 });
    expect(all.map(({ task }) => task.task_id)).toEqual([high, low]);
    expect(partial).toBe(true);
    const small = new MemoryStorage();
    const ids = [await submit(small), await submit(small, { priority: 9, runAt: Date.now() + 3_600_000 })];
    const whole = await administered(small).queue(tenantId, { limit: 10 });
    expect(whole.first_in_queue.map(({ task }) => task.task_id)).toEqual(ids);
    expect(whole.partial).toBe(false);
  });

  it.each([0, 501, 1.5])('refuses the limit %s', async (limit) => {
    await expect(administered(new MemoryStorage()).queue(tenantId, { limit })).rejects.toMatchObject({
      code: 'invalid_request',
    });
  });
});
