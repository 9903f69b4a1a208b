import assert from 'node:assert/strict';
import { DEFAULTS } from '../protocol/settings.js';
import type { CaseTools, ConformanceCase } from './conformance-case.js';

const create = (t: CaseTools, key: string, fingerprint: string, more: object = {}) =>
  t.storage.sessions.create({
    tenantId: t.tenantId,
    sessionId: t.id(),
    context: {},
    idempotency: { key, fingerprint },
    ...more,
  });
const signal = (t: CaseTools, taskId: string, payload: number, signalId: string, fingerprint?: string) =>
  t.storage.tasks.signal({ tenantId: t.tenantId, taskId, name: 'go', payload, signalId, fingerprint });

/** Repeated requests with a key: an identical one changes nothing, a different one is refused. */
export const repeatedRequestCases: readonly ConformanceCase[] = [
  {
    part: 'sessions',
    method: 'create',
    name: 'returns the session of a repeated key, whatever id is requested, and refuses a different request',
    async run(t) {
      const key = t.id();
      const made = await create(t, key, 'one', { context: { a: 1 } });
      assert.equal(made.answer, 'created');
      assert.ok('session' in made);
      const again = await create(t, key, 'one', { context: { a: 1 } });
      assert.deepEqual(again, { answer: 'replayed', session: made.session });
      assert.deepEqual(await create(t, key, 'two'), { answer: 'idempotency_conflict' });
      const { session_id: sessionId } = made.session;
      assert.equal((await create(t, t.id(), 'one', { sessionId })).answer, 'exists');
      assert.equal((await create(t, key, 'two', { tenantId: t.otherTenantId })).answer, 'created');
      assert.deepEqual(await t.storage.sessions.list({ tenantId: t.tenantId, limit: 10 }), {
        sessions: [made.session],
      });
    },
  },
  {
    part: 'sessions',
    method: 'create',
    name: 'remembers the key of an existing session, shares keys with tasks, and forgets them after a day',
    async run(t) {
      const [key, sessionId] = [t.id(), t.id()];
      await t.storage.sessions.create({ tenantId: t.tenantId, sessionId, context: {} });
      assert.equal((await create(t, key, 'one', { sessionId })).answer, 'exists');
      assert.deepEqual(await create(t, key, 'two', { sessionId }), { answer: 'idempotency_conflict' });
      const ofTask = { key: t.id(), fingerprint: 'task' };
      const submit = (idempotency: { key: string; fingerprint: string }) =>
        t.storage.tasks.submit({
          tenantId: t.tenantId,
          submission: t.submission(),
          idempotency,
          maxWaiting: 9,
        });
      assert.equal((await submit(ofTask)).answer, 'submitted');
      assert.deepEqual(await create(t, ofTask.key, 'task'), { answer: 'idempotency_conflict' });
      assert.equal((await submit({ key, fingerprint: 'one' })).answer, 'idempotency_conflict');
      await t.pass(DEFAULTS.idempotencyMs);
      assert.equal((await create(t, key, 'two')).answer, 'created');
    },
  },
  {
    part: 'tasks',
    method: 'signal',
    name: 'accepts a signal id once, and refuses it for another signal',
    async run(t) {
      const { task_id: taskId } = await t.submit();
      const id = t.id();
      assert.equal((await signal(t, taskId, 1, id, 'one')).answer, 'kept');
      assert.equal((await signal(t, taskId, 1, id, 'one')).answer, 'repeated');
      assert.equal((await signal(t, taskId, 2, id, 'two')).answer, 'idempotency_conflict');
      assert.equal((await signal(t, taskId, 1, id)).answer, 'repeated');
      const plain = t.id();
      assert.equal((await signal(t, taskId, 3, plain)).answer, 'kept');
      assert.equal((await signal(t, taskId, 3, plain)).answer, 'repeated');
      const { task_id: other } = await t.submit();
      assert.equal((await signal(t, other, 2, id, 'two')).answer, 'kept');
    },
  },
];
