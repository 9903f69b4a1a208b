import assert from 'node:assert/strict';
import { KEPT_SPENT_TICKETS } from '../storage/ticket-store.js';
import type { CaseTools, ConformanceCase } from './conformance-case.js';

const LIFE_MS = 30_000;
const CONTENT = 'sealed: "für" {acme}\n';

interface More {
  readonly ticketId?: string;
  readonly content?: string;
  readonly lifeMs?: number;
  readonly maxOpen?: number;
  readonly tenantId?: string;
}

const issue = (t: CaseTools, more: More = {}) =>
  t.storage.tickets.issue({
    tenantId: t.tenantId,
    ticketId: t.id(),
    content: CONTENT,
    lifeMs: LIFE_MS,
    maxOpen: 100_000,
    ...more,
  });
const spend = (t: CaseTools, ticketId: string, more: { spendId?: string; tenantId?: string } = {}) =>
  t.storage.tickets.spend({ tenantId: t.tenantId, ticketId, spendId: t.id(), ...more });

const issueCases: readonly ConformanceCase[] = [
  {
    part: 'tickets',
    method: 'issue',
    name: 'returns the expiry of the ticket, and refuses tickets beyond the limit until one is used or expires',
    async run(t) {
      const [first, second] = [t.id(), t.id()];
      const begin = t.now();
      const two = { maxOpen: 2 };
      assert.deepEqual(await issue(t, { ...two, ticketId: first }), {
        answer: 'issued',
        expiresAt: begin + LIFE_MS,
      });
      await t.advance(1_000);
      assert.equal((await issue(t, { ...two, ticketId: second })).answer, 'issued');
      assert.deepEqual(await issue(t, two), { answer: 'too_many', freeAt: begin + LIFE_MS });
      assert.equal((await issue(t, { ...two, tenantId: t.otherTenantId })).answer, 'issued');
      assert.equal(await spend(t, second), CONTENT);
      assert.equal((await issue(t, two)).answer, 'issued');
      assert.equal((await issue(t, two)).answer, 'too_many');
      await t.advance(LIFE_MS - 1_000);
      assert.equal((await issue(t, two)).answer, 'issued', 'the first has expired');
      assert.equal((await issue(t, two)).answer, 'too_many');
    },
  },
  {
    part: 'tickets',
    method: 'issue',
    name: 'counts a ticket once, however often it is issued, and does not reopen a used one',
    async run(t) {
      const ticketId = t.id();
      const made = await issue(t, { ticketId, maxOpen: 1 });
      await t.advance(5);
      assert.deepEqual(await issue(t, { ticketId, maxOpen: 1 }), made);
      assert.equal(await spend(t, ticketId), CONTENT);
      assert.deepEqual(await issue(t, { ticketId, maxOpen: 1 }), made);
      assert.equal(await spend(t, ticketId), undefined);
      assert.equal((await issue(t, { maxOpen: 1 })).answer, 'issued');
    },
  },
  {
    part: 'tickets',
    method: 'issue',
    name: 'holds many tickets, each with its own expiry',
    async run(t) {
      const ids = Array.from({ length: 300 }, () => t.id());
      await Promise.all(
        ids.map((ticketId, n) => issue(t, { ticketId, content: `of ${n}`, lifeMs: 1_000 + n, maxOpen: 300 })),
      );
      assert.equal((await issue(t, { maxOpen: 300 })).answer, 'too_many');
      await t.advance(1_250);
      assert.equal(await spend(t, ids[250] as string), undefined);
      assert.equal(await spend(t, ids[251] as string), 'of 251');
      assert.equal((await issue(t, { maxOpen: 49 })).answer, 'issued');
      assert.equal((await issue(t, { maxOpen: 49 })).answer, 'too_many');
    },
  },
];

const spendCases: readonly ConformanceCase[] = [
  {
    part: 'tickets',
    method: 'spend',
    name: 'returns the content once, to one of many concurrent requests',
    async run(t) {
      const ticketId = t.id();
      await issue(t, { ticketId });
      const answers = await Promise.all(Array.from({ length: 10 }, () => spend(t, ticketId)));
      assert.deepEqual(
        answers.filter((answer) => answer !== undefined),
        [CONTENT],
      );
      assert.equal(await spend(t, ticketId), undefined);
    },
  },
  {
    part: 'tickets',
    method: 'spend',
    name: 'returns the content again to the same user of the ticket until it expires',
    async run(t) {
      const [ticketId, spendId] = [t.id(), t.id()];
      await issue(t, { ticketId });
      assert.equal(await spend(t, ticketId, { spendId }), CONTENT);
      assert.equal(await spend(t, ticketId, { spendId }), CONTENT);
      assert.equal(await spend(t, ticketId), undefined);
      await t.advance(LIFE_MS);
      assert.equal(await spend(t, ticketId, { spendId }), undefined);
    },
  },
  {
    part: 'tickets',
    method: 'spend',
    name: 'refuses expired, foreign and unknown tickets',
    async run(t) {
      const ticketId = t.id();
      await issue(t, { ticketId });
      assert.equal(await spend(t, t.id()), undefined);
      assert.equal(await spend(t, ticketId, { tenantId: t.otherTenantId }), undefined);
      await t.advance(LIFE_MS);
      assert.equal(await spend(t, ticketId), undefined);
      await issue(t, { ticketId, content: 'anew' });
      await t.advance(LIFE_MS - 1);
      assert.equal(await spend(t, ticketId), 'anew');
    },
  },
  {
    part: 'tickets',
    method: 'spend',
    name: `keeps the last ${KEPT_SPENT_TICKETS} of a tenant that were spent for a repeat, and forgets the others`,
    async run(t) {
      const spendId = t.id();
      const ids = Array.from({ length: KEPT_SPENT_TICKETS + 1 }, () => t.id());
      for (const ticketId of ids) {
        await issue(t, { ticketId, maxOpen: 1 });
        assert.equal(await spend(t, ticketId, { spendId }), CONTENT);
      }
      assert.equal(await spend(t, ids[0] as string, { spendId }), undefined);
      assert.equal(await spend(t, ids[1] as string, { spendId }), CONTENT);
      assert.equal(await spend(t, ids.at(-1) as string, { spendId }), CONTENT);
    },
  },
];

export const ticketCases: readonly ConformanceCase[] = [...issueCases, ...spendCases];
