import assert from 'node:assert/strict';
import type { Message } from '../protocol/session.js';
import type { Claim } from '../storage/task-queue.js';
import type { CaseTools, ClaimOptions, ConformanceCase } from './conformance-case.js';

const BYTES = 2_000;

/** Submits a task of a session with its message. */
async function ask(t: CaseTools, sessionId: string, content: string) {
  const message = { message_id: t.id(), role: 'user', content } as const;
  return t.submit({ session_id: sessionId }, { message });
}

function claimReading(t: CaseTools, options: ClaimOptions = {}): Promise<Claim[]> {
  return t.claim({ readsMessages: [t.type], ...options });
}

async function messagesOf(t: CaseTools, sessionId: string, limit = 50): Promise<readonly Message[]> {
  const { tenantId } = t;
  return (await t.storage.sessions.messages({ tenantId, sessionId, limit })) ?? [];
}

/** Bytes of a message besides its content. */
function overheadOf(message: Message): number {
  const { message_id, created_at } = message;
  const kept = JSON.stringify({ ...message, created_at: Date.parse(created_at), content: '' });
  return Buffer.byteLength(message_id) + 1 + Buffer.byteLength(kept);
}

const broughtTo = (claims: readonly Claim[], task: { readonly task_id: string }) =>
  claims.find((claim) => claim.task.task_id === task.task_id)?.sessionMessages;

/** Messages of a session that come with the claim of its task. */
export const claimedMessageCases: readonly ConformanceCase[] = [
  {
    part: 'queue',
    method: 'claim',
    name: 'includes the messages of the session for a type whose runs read them first, and for no other',
    async run(t) {
      const session = t.id();
      const first = await ask(t, session, 'é "one"');
      const alone = await t.submit();
      const claims = await claimReading(t);
      const messages = await messagesOf(t, session);
      assert.equal(messages.length, 1);
      assert.deepEqual(broughtTo(claims, first), { messages, hasOlder: false });
      assert.equal(broughtTo(claims, alone), undefined);
      const [claim] = claims.filter(({ task }) => task.task_id === first.task_id);
      assert.ok(claim);
      const answer = { message_id: `${first.task_id}-answer`, content: 'answered' };
      await t.settle(claim, { kind: 'completed', result: 1, answer });
      const second = await ask(t, session, 'two');
      assert.equal(broughtTo(await t.claim({ readsMessages: [t.otherType] }), second), undefined);
      const other = t.id();
      const third = await ask(t, other, 'three');
      const empty = await t.submit({ session_id: t.id() });
      const more = await claimReading(t);
      assert.deepEqual(broughtTo(more, third)?.messages, await messagesOf(t, other));
      assert.equal(broughtTo(more, empty), undefined);
    },
  },
  {
    part: 'queue',
    method: 'claim',
    name: 'includes the newest messages, and says whether the session has older ones',
    limits: { claimedMessages: 3 },
    async run(t) {
      const session = t.id();
      await t.storage.sessions.create({ tenantId: t.tenantId, sessionId: session, context: {} });
      const append = (content: string) =>
        t.storage.sessions.append({
          tenantId: t.tenantId,
          sessionId: session,
          message: { message_id: t.id(), role: 'user', content },
        });
      await append('one');
      await append('two');
      const third = await ask(t, session, 'three');
      const [claim] = await claimReading(t);
      assert.ok(claim);
      assert.deepEqual(claim.sessionMessages, { messages: await messagesOf(t, session), hasOlder: false });
      await append('after the claim');
      await t.settle(claim, { kind: 'released' });
      const again = await claimReading(t);
      const messages = await messagesOf(t, session, 3);
      assert.deepEqual(
        messages.map(({ content }) => content),
        ['two', 'three', 'after the claim'],
      );
      assert.deepEqual(broughtTo(again, third), { messages, hasOlder: true });
    },
  },
  {
    part: 'queue',
    method: 'claim',
    name: 'includes messages up to a limit in bytes, of all tasks together',
    limits: { claimedMessageBytes: BYTES },
    async run(t) {
      const sample = t.id();
      await ask(t, sample, '');
      const [known] = await messagesOf(t, sample);
      assert.ok(known);
      for (const claim of await t.claim()) await t.settle(claim, { kind: 'completed', result: null });
      const [first, second, third] = [t.id(), t.id(), t.id()];
      const room = BYTES - overheadOf(known);
      const exact = await ask(t, first, 'x'.repeat(room));
      assert.ok(broughtTo(await claimReading(t), exact), 'one that fits exactly');
      const tooLarge = await ask(t, second, 'x'.repeat(room + 1));
      assert.equal(broughtTo(await claimReading(t), tooLarge), undefined);
      const halves = [];
      for (const content of ['x'.repeat(BYTES / 2 - 100), 'x'.repeat(BYTES / 2 + 100)])
        halves.push(await ask(t, content.length < BYTES / 2 ? third : t.id(), content));
      const small = await ask(t, t.id(), 'small');
      const claims = await claimReading(t);
      assert.deepEqual(
        [...halves, small].map((task) => broughtTo(claims, task)?.messages.length),
        [1, undefined, 1],
      );
    },
  },
  {
    part: 'queue',
    method: 'claim',
    name: 'includes no messages for a prefetched task, for one with a journal, and in a repeat',
    async run(t) {
      const [first, second] = [await ask(t, t.id(), 'one'), await ask(t, t.id(), 'two')];
      const claimId = t.id();
      const claims = await claimReading(t, { begins: 1, claimId });
      assert.equal(broughtTo(claims, first)?.messages.length, 1);
      assert.equal(broughtTo(claims, second), undefined);
      const repeated = await claimReading(t, { begins: 1, claimId });
      assert.deepEqual(
        repeated.map(({ sessionMessages }) => sessionMessages),
        [undefined, undefined],
      );
      const [claim] = claims.filter(({ task }) => task.task_id === first.task_id);
      assert.ok(claim);
      await t.record(claim, { key: 'own', kind: 'run', name: 'run own' }, t.result(1), 10);
      await t.settle(claim, { kind: 'released' });
      assert.equal(broughtTo(await claimReading(t), first), undefined);
    },
  },
];
