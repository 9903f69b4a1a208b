import assert from 'node:assert/strict';
import type { ListSessionsParams } from '../storage/session-store.js';
import type { CaseTools, ConformanceCase } from './conformance-case.js';

const where = (t: CaseTools, sessionId = 's') => ({ tenantId: t.tenantId, sessionId });
const message = (id: string, content = id) => ({ message_id: id, role: 'user', content }) as const;

export const sessionCases: readonly ConformanceCase[] = [
  {
    part: 'sessions',
    method: 'create',
    name: 'creates a session once, in its tenant only',
    async run(t) {
      const first = await t.storage.sessions.create({ ...where(t), agentId: 'a', context: { plan: 'free' } });
      assert.equal(first.answer, 'created');
      assert.deepEqual(
        [first.session.status, first.session.agent_id, first.session.context],
        ['active', 'a', { plan: 'free' }],
      );
      const second = await t.storage.sessions.create({ ...where(t), context: { plan: 'paid' } });
      assert.equal(second.answer, 'exists');
      assert.deepEqual(second.session, first.session);
      const other = await t.storage.sessions.create({
        tenantId: t.otherTenantId,
        sessionId: 's',
        context: {},
      });
      assert.equal(other.answer, 'created');
    },
  },
  {
    part: 'sessions',
    method: 'get',
    name: 'returns the session with its live tasks at exactly the cursor',
    async run(t) {
      const ended = await t.submit({ session_id: 's' });
      await t.settle(await t.claimOne(), { kind: 'completed', result: 1 });
      const live = await t.submit({ session_id: 's' });
      const state = await t.storage.sessions.get(where(t));
      assert.deepEqual(
        state?.tasks.map(({ task_id }) => task_id),
        [live.task_id],
      );
      assert.notEqual(ended.task_id, live.task_id);
      assert.equal(state?.cursor, await t.storage.events.head({ tenantId: t.tenantId }));
      assert.equal(await t.storage.sessions.get({ tenantId: t.otherTenantId, sessionId: 's' }), undefined);
    },
  },
  {
    part: 'sessions',
    method: 'update',
    name: 'merges the context, and removes null fields',
    async run(t) {
      await t.storage.sessions.create({ ...where(t), context: { a: 1, b: 2 } });
      const updated = await t.storage.sessions.update({ ...where(t), context: { b: null, c: 0 } });
      assert.ok('session' in updated);
      assert.deepEqual(updated.session.context, { a: 1, c: 0 });
      assert.equal((await t.storage.sessions.get(where(t)))?.session.rev, updated.session.rev);
    },
  },
  {
    part: 'sessions',
    method: 'update',
    name: 'lets one of two concurrent updates win, and refuses the other with a conflict',
    async run(t) {
      const created = await t.storage.sessions.create({ ...where(t), context: {} });
      assert.ok('session' in created);
      const set = (who: string) =>
        t.storage.sessions.update({ ...where(t), rev: created.session.rev, context: { who } });
      const answers = (await Promise.all([set('a'), set('b')])).map(({ answer }) => answer);
      assert.deepEqual(answers.toSorted(), ['conflict', 'updated']);
      const after = await t.storage.sessions.get(where(t));
      assert.equal(after?.session.rev, created.session.rev + 1);
    },
  },
  {
    part: 'sessions',
    method: 'update',
    name: 'refuses updates of closed, foreign and absent sessions',
    async run(t) {
      const update = (tenantId: string, sessionId: string) =>
        t.storage.sessions.update({ tenantId, sessionId, context: { x: 1 } });
      await t.storage.sessions.create({ ...where(t), context: {} });
      assert.equal((await update(t.otherTenantId, 's')).answer, 'not_found');
      assert.equal((await update(t.tenantId, 'none')).answer, 'not_found');
      await t.storage.sessions.close({ ...where(t), graceMs: 0 });
      assert.equal((await update(t.tenantId, 's')).answer, 'session_closed');
    },
  },
  {
    part: 'sessions',
    method: 'append',
    name: 'appends a message once, and emits one event',
    async run(t) {
      await t.storage.sessions.create({ ...where(t), context: {} });
      const first = await t.storage.sessions.append({ ...where(t), message: message('m1', 'hello') });
      const second = await t.storage.sessions.append({ ...where(t), message: message('m1', 'other') });
      assert.deepEqual([first.answer, second.answer], ['appended', 'known']);
      const messages = await t.storage.sessions.messages({ ...where(t), limit: 10 });
      assert.deepEqual(
        messages?.map(({ content }) => content),
        ['hello'],
      );
      assert.equal((await t.log()).filter(({ event }) => event === 'session_updated').length, 2);
    },
  },
  {
    part: 'sessions',
    method: 'append',
    name: 'refuses messages to closed, foreign and absent sessions',
    async run(t) {
      await t.storage.sessions.create({ ...where(t), context: {} });
      const append = (tenantId: string) =>
        t.storage.sessions.append({ tenantId, sessionId: 's', message: message('m') });
      assert.equal((await append(t.otherTenantId)).answer, 'not_found');
      await t.storage.sessions.close({ ...where(t), graceMs: 0 });
      assert.equal((await append(t.tenantId)).answer, 'session_closed');
    },
  },
  {
    part: 'sessions',
    method: 'messages',
    name: 'returns the newest messages in ascending order, and the page before a message',
    async run(t) {
      await t.storage.sessions.create({ ...where(t), context: {} });
      for (let n = 1; n <= 5; n += 1)
        await t.storage.sessions.append({ ...where(t), message: message(`m${n}`) });
      const ids = async (limit: number, before?: string) =>
        (
          await t.storage.sessions.messages({ ...where(t), limit, ...(before !== undefined && { before }) })
        )?.map(({ message_id }) => message_id);
      assert.deepEqual(await ids(2), ['m4', 'm5']);
      assert.deepEqual(await ids(2, 'm4'), ['m2', 'm3']);
      assert.equal(
        await t.storage.sessions.messages({ tenantId: t.otherTenantId, sessionId: 's', limit: 1 }),
        undefined,
      );
    },
  },
  {
    part: 'sessions',
    method: 'messages',
    name: 'keeps the newest 200 messages',
    async run(t) {
      await t.storage.sessions.create({ ...where(t), context: {} });
      for (let n = 1; n <= 203; n += 1)
        await t.storage.sessions.append({ ...where(t), message: message(`m${n}`) });
      const messages = await t.storage.sessions.messages({ ...where(t), limit: 1_000 });
      assert.equal(messages?.length, 200);
      assert.equal(messages?.[0]?.message_id, 'm4');
    },
  },
  {
    part: 'sessions',
    method: 'list',
    name: 'pages sessions from the newest, by status, within the tenant',
    async run(t) {
      for (const id of ['a', 'b', 'c']) await t.storage.sessions.create({ ...where(t, id), context: {} });
      await t.storage.sessions.close({ ...where(t, 'b'), graceMs: 0 });
      type Asked = Partial<ListSessionsParams>;
      const page = (asked: Asked) => t.storage.sessions.list({ tenantId: t.tenantId, limit: 9, ...asked });
      const ids = async (asked: Asked) => (await page(asked))?.sessions.map(({ session_id }) => session_id);
      const first = await page({ limit: 2 });
      assert.deepEqual(
        first?.sessions.map(({ session_id }) => session_id),
        ['c', 'b'],
      );
      const after = first.next ?? '';
      assert.deepEqual(await ids({ limit: 2, after }), ['a']);
      assert.equal((await page({ limit: 2, after }))?.next, undefined);
      assert.deepEqual(await ids({ status: 'active' }), ['c', 'a']);
      assert.deepEqual(await ids({ tenantId: t.otherTenantId }), []);
      assert.equal(await page({ after: 'ghost' }), undefined);
      assert.equal(await page({ tenantId: t.otherTenantId, after }), undefined);
    },
  },
  {
    part: 'sessions',
    method: 'close',
    name: 'cancels the live tasks of the session, and starts none meanwhile',
    async run(t) {
      const [running, waiting] = [await t.submit({ session_id: 's' }), await t.submit({ session_id: 's' })];
      const claim = await t.claimOne();
      assert.equal((await t.storage.sessions.close({ ...where(t), graceMs: 5_000 })).answer, 'closed');
      assert.equal(
        (await t.storage.sessions.close({ ...where(t), graceMs: 5_000 })).answer,
        'already_closed',
      );
      assert.equal((await t.get(waiting.task_id)).status, 'cancelled');
      assert.equal(claim.task.task_id, running.task_id);
      await t.pass(5_000);
      assert.equal((await t.get(running.task_id)).status, 'cancelled');
      assert.deepEqual(await t.claim(), []);
      assert.equal((await t.storage.sessions.close({ ...where(t, 'none'), graceMs: 0 })).answer, 'not_found');
    },
  },
  {
    part: 'sessions',
    method: 'close',
    name: 'closes a session after a day of inactivity, but not while a task is live',
    async run(t) {
      await t.storage.sessions.create({ ...where(t, 'idle'), context: {} });
      await t.submit({ session_id: 'busy', timeoutMs: 5 * 86_400_000 });
      await t.pass(86_400_000 - 1_000);
      const status = async (id: string) => (await t.storage.sessions.get(where(t, id)))?.session.status;
      assert.deepEqual([await status('idle'), await status('busy')], ['active', 'active']);
      await t.pass(2_000);
      assert.deepEqual([await status('idle'), await status('busy')], ['closed', 'active']);
    },
  },
  {
    part: 'sessions',
    method: 'close',
    name: 'removes a closed session with its messages after another day',
    async run(t) {
      const dayMs = 86_400_000;
      const message = { message_id: 'm', role: 'user', content: 'hello' } as const;
      const task = await t.submit({ session_id: 'busy', timeoutMs: 9 * dayMs }, { message });
      await t.submit({ session_id: 'other', timeoutMs: 9 * dayMs });
      await t.storage.sessions.close({ ...where(t, 'other'), graceMs: 0 });
      const all = async () => {
        const { sessions } = (await t.storage.sessions.list({ tenantId: t.tenantId, limit: 9 })) ?? {};
        return new Map(sessions?.map(({ session_id, status }) => [session_id, status]));
      };
      await t.pass(dayMs - 1_000);
      assert.equal((await all()).size, 2);
      await t.pass(2_000);
      assert.deepEqual([...(await all())], [['busy', 'active']]);
      assert.equal(await t.storage.sessions.get(where(t, 'other')), undefined);
      await t.storage.tasks.cancel({ tenantId: t.tenantId, taskId: task.task_id, reason: 'x', graceMs: 0 });
      await t.pass(dayMs + 1_000);
      assert.deepEqual([...(await all())], [['busy', 'closed']]);
      await t.pass(dayMs + 1_000);
      assert.equal((await all()).size, 0);
      assert.equal(await t.storage.sessions.messages({ ...where(t, 'busy'), limit: 9 }), undefined);
      await t.submit({ session_id: 'busy' });
      assert.deepEqual(await t.storage.sessions.messages({ ...where(t, 'busy'), limit: 9 }), []);
    },
  },
];
