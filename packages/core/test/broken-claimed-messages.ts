import type { Storage } from '../src/index.js';
import type { Claim, ClaimedMessages } from '../src/storage/index.js';
import type { Mistake, Parameter } from './mistakes.js';

const claimsOf = (answer: unknown) => answer as Claim[];

/** Messages that come with a claim are changed. */
const changing =
  (change: (session: ClaimedMessages) => ClaimedMessages | undefined): Mistake =>
  async (params, original) =>
    claimsOf(await original(params)).map(({ sessionMessages: session, ...claim }) => {
      const changed = session && change(session);
      return { ...claim, ...(changed && { sessionMessages: changed }) };
    });

async function filled(storage: Storage, claim: Claim): Promise<Claim> {
  const { tenant_id: tenantId, session_id: sessionId } = claim.task;
  if (claim.sessionMessages || sessionId === undefined) return claim;
  const messages = (await storage.sessions.messages({ tenantId, sessionId, limit: 50 })) ?? [];
  return { ...claim, sessionMessages: { messages, hasOlder: false } };
}

/** Messages come with claims that are to have none. */
const filling =
  (isTo: (claim: Claim, params: Parameter) => boolean): Mistake =>
  async (params, original, storage) => {
    const claims = claimsOf(await original(params));
    return Promise.all(claims.map(async (claim) => (isTo(claim, params) ? filled(storage, claim) : claim)));
  };

const asked = ({ task }: Claim, params: Parameter) =>
  (params['readsMessages'] as string[] | undefined)?.includes(task.type) === true;
const isNew = ({ steps, prefetched }: Claim) => steps.length === 0 && !prefetched;

/** Ids of claims so far. */
const known = new Set<unknown>();

/** Mistakes in the messages that come with a claim. */
export const brokenClaimedMessages: Readonly<Record<string, Readonly<Record<string, Mistake>>>> = {
  'queue.claim': {
    'brings no messages': changing(() => undefined),
    'brings messages to all that run in a session': filling((claim) => isNew(claim)),
    'brings messages of any size': filling((claim, params) => asked(claim, params) && isNew(claim)),
    'brings messages to prefetched tasks': filling(
      (claim, params) => asked(claim, params) && claim.prefetched,
    ),
    'brings messages to tasks with a journal': filling(
      (claim, params) => asked(claim, params) && claim.steps.length > 0,
    ),
    'brings messages in a repeat': filling((claim, params) => {
      const isRepeat = known.has(params['claimId']);
      known.add(params['claimId']);
      return isRepeat && asked(claim, params);
    }),
    'knows of no older messages': changing((session) => ({ ...session, hasOlder: false })),
    'brings the newest message first': changing(({ messages, hasOlder }) => ({
      messages: messages.toReversed(),
      hasOlder,
    })),
    'brings one message less': changing(({ messages, hasOlder }) => ({
      messages: messages.slice(1),
      hasOlder,
    })),
  },
};
