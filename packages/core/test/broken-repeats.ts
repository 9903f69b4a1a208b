import type { Mistake } from './mistakes.js';

/** What tickets stood for that were spent. */
const spent = new Map<string, unknown>();
const LONG = 1_000_000_000;

/** Mistakes with tickets, and with requests that come again, by method. */
export const brokenRepeats: Readonly<Record<string, Readonly<Record<string, Mistake>>>> = {
  'tickets.issue': {
    'knows no limit': (params, original) => original({ ...params, maxOpen: LONG }),
    'never lets a ticket expire': (params, original) => original({ ...params, lifeMs: LONG }),
    'forgets the content': (params, original) => original({ ...params, content: '' }),
    'shares the limit between tenants': (params, original) => original({ ...params, tenantId: 'all' }),
    'counts a repeat as one more': (params, original) =>
      original({ ...params, ticketId: crypto.randomUUID() }),
    'does not say when the first expires': async (params, original) => {
      const answer = await original(params);
      return answer['answer'] === 'too_many' ? { ...answer, freeAt: 0 } : answer;
    },
  },
  'sessions.create': {
    'forgets the idempotency key': (params, original) => original({ ...params, idempotency: undefined }),
    'forgets what the key was used for': (params, original) =>
      original({
        ...params,
        idempotency: params['idempotency'] && { ...(params['idempotency'] as object), fingerprint: 'any' },
      }),
  },
  'tasks.signal': {
    'forgets what the id was used for': (params, original) =>
      original({ ...params, fingerprint: params['fingerprint'] && 'any' }),
  },
  'tickets.spend': {
    'finds nothing': async () => undefined,
    'leaves the ticket open': async (params, original) => {
      const ticketId = String(params['ticketId']);
      const content = (await original(params)) ?? spent.get(ticketId);
      if (content !== undefined) spent.set(ticketId, content);
      return content;
    },
    'gives it to every spender': (params, original) => original({ ...params, spendId: 'anyone' }),
    'takes a repeat for another spender': (params, original) =>
      original({ ...params, spendId: crypto.randomUUID() }),
  },
};
