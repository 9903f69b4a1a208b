import type { Claim, JournalStep } from '../src/storage/index.js';
import type { Mistake } from './mistakes.js';

type Fields = { readonly [key: string]: unknown };
const listOf = (value: unknown) => value as Claim[];

const settlement =
  (change: (settlement: Fields) => Fields): Mistake =>
  (params, original) =>
    original({ ...params, settlement: change(params['settlement'] as Fields) });

const claims =
  (change: (claim: Claim) => Partial<Claim>): Mistake =>
  async (params, original) =>
    listOf(await original(params)).map((claim) => ({ ...claim, ...change(claim) }));

const leases =
  (begun: boolean | undefined): Mistake =>
  (params, original) =>
    original({ ...params, leases: (params['leases'] as object[]).map((lease) => ({ ...lease, begun })) });

/** The same answer to the same question, as the object that was given out before. */
function shared(): Mistake {
  const given = new Map<string, unknown>();
  return async (params, original) => {
    const key = JSON.stringify(params);
    const answer: unknown = await original(params);
    const known = given.get(key);
    if (known !== undefined) return known;
    given.set(key, answer);
    return answer;
  };
}

/** Explanations whose reason lacks a fact. */
const reasons =
  (fact: RegExp, without: string): Mistake =>
  async (params, original) => {
    const found = await original(params);
    return found && { ...found, reason: String(found['reason']).replace(fact, without) };
  };

const withDiagnostic: Mistake = async (params, original) => {
  const given = params['settlement'] as { error?: Fields; diagnostic?: { causes?: string[] } };
  const message = given.diagnostic?.causes?.[0];
  const error = { ...given.error, ...(message !== undefined && { message }) };
  return original({ ...params, settlement: given.error ? { ...given, error } : given });
};

const step = (change: (step: JournalStep) => Partial<JournalStep>) => (claim: Claim) => ({
  steps: claim.steps.map((one) => ({ ...one, ...change(one) })),
});

/** Mistakes in what remains of a task when something is lost, and in what readers get. */
export const brokenRecovery: Readonly<Record<string, Readonly<Record<string, Mistake>>>> = {
  'queue.settle': {
    'never says that no attempt is left': async (params, original) => {
      const answer = (await original(params)) as unknown;
      return answer === 'exhausted' ? 'settled' : answer;
    },
    'forgets what was thrown': settlement(({ diagnostic: _, ...kept }) => kept),
    'shows tenants what was thrown': withDiagnostic,
    'rounds the delay of a retry down to nothing': settlement((given) =>
      given['kind'] === 'retry' && Number.isNaN(given['delayMs']) ? { ...given, delayMs: 0 } : given,
    ),
  },
  'queue.claim': {
    'claims nothing ahead': (params, original) => original({ ...params, begins: undefined }),
    'claims everything ahead': (params, original) => original({ ...params, begins: 0 }),
    'forgets where the attempt began': claims(() => ({ inherited: 0 })),
    'takes inherited steps for those of the attempt': claims(step(() => ({ inherited: false }))),
    'takes a length that is none for the usual one': (params, original) =>
      original({ ...params, leaseMs: Number.isFinite(params['leaseMs']) ? params['leaseMs'] : 30_000 }),
  },
  'queue.renew': {
    'never hears that a run has begun': leases(undefined),
    'takes each renewal for a beginning': leases(true),
  },
  'journal.begin': {
    'ends waits in the millisecond before': (params, original) => {
      const { dueInMs, ...kept } = params['step'] as { dueInMs?: number };
      const due = dueInMs === undefined ? {} : { dueInMs: Math.floor(dueInMs) };
      return original({ ...params, step: { ...kept, ...due } });
    },
  },
  'journal.report': {
    'knows numbers to fourteen digits': (params, original) => {
      const seq = params['seq'] as number | undefined;
      return original(seq === undefined ? params : { ...params, seq: Number(seq.toPrecision(14)) });
    },
  },
  'journal.changesSince': {
    'takes what earlier attempts began for the attempt’s own': async (params, original) => {
      const page = await original(params);
      const changes = (page['changes'] as JournalStep[] | undefined)?.map((one) => ({
        ...one,
        inherited: false,
      }));
      return { ...page, ...(changes && { changes }) };
    },
  },
  'tasks.getBatch': {
    'takes what is gone for what waits': async (params, original) => {
      const batch = await original(params);
      const items = batch?.['items'] as Fields[] | undefined;
      return (
        batch && {
          ...batch,
          items: items?.map((item) =>
            item['status'] === 'completed' && item['result'] === undefined
              ? { ...item, status: 'pending' }
              : item,
          ),
        }
      );
    },
  },
  'tasks.explain': {
    'keeps what was thrown to itself': async (params, original) => {
      const { diagnostic: _, ...kept } = await original(params);
      return kept;
    },
    'does not count tasks of other types': async (params, original) => {
      const found = await original(params);
      return found && { ...found, position: Math.min(Number(found['position']), 2) };
    },
    'takes parallel tasks for waiting ones': reasons(/^no live worker.*/, 'session s is busy with task t'),
    'forgets who holds the session': reasons(/^session .*/, 'it waits for its turn'),
    'forgets the limit of the batch': reasons(/^batch .*/, 'it waits for its turn'),
    'forgets that the tenant is paused': reasons(/^tenant .* is paused$/, '0 tasks of this tenant go first'),
    'forgets the limit of the tenant': reasons(/^the tenant has .*/, '0 tasks of this tenant go first'),
    'forgets when a task is due': reasons(/^not before .*/, 'not before 1970-01-01T00:00:00.000Z'),
    'forgets the worker': reasons(/^worker \S+/, 'worker undefined'),
    'forgets why a task is to be cancelled': reasons(/is to end it.*/, 'runs it, attempt 1'),
    'forgets what a task waits for': reasons(/, .*/, ''),
    'forgets the version': reasons(/ in version .*/, ''),
    'takes dead workers for live ones': async (params, original) => {
      const found = await original(params);
      const reason = String(found['reason']).replace(/^no live worker.*/, '3 tasks of this tenant go first');
      return { ...found, reason };
    },
  },
  'tasks.get': { 'hands out what it keeps': shared() },
  'sessions.messages': { 'hands out what it keeps': shared() },
  'events.read': {
    'hands out what it keeps': shared(),
  },
  'tasks.cancel': {
    'keeps half a character': async (params, original) => {
      const answer = await original(params);
      const reason = params['reason'] as string;
      const cancelled = answer['task'] as { error?: Fields } | undefined;
      if (cancelled?.error)
        return { ...answer, task: { ...cancelled, error: { ...cancelled.error, message: reason } } };
      return answer;
    },
  },
  'workers.list': {
    'remembers the dead': (() => {
      const all = new Map<string, Fields>();
      return async (params, original) => {
        for (const entry of (await original(params)) as unknown as Fields[])
          all.set(String(entry['workerId']), entry);
        return [...all.values()];
      };
    })(),
  },
  'workers.announce': {
    'lets every worker live for a minute': (params, original) => original({ ...params, leaseMs: 60_000 }),
  },
  'usage.add': {
    'forgets what has no row of its own': (() => {
      const models = new Set<unknown>();
      return async (params, original) =>
        models.add(params['model']).size < 500 ? original(params) : undefined;
    })(),
    'counts whole tokens only': (params, original) =>
      original({ ...params, tokens: Math.floor(params['tokens'] as number) }),
    'takes a negative number for none': (params, original) =>
      original({
        ...params,
        tokens: Math.max(0, params['tokens'] as number),
        savedTokens: Math.max(0, params['savedTokens'] as number),
      }),
  },
  'sessions.update': {
    'says that it did what it could not': async (params, original, storage) => {
      try {
        return await original(params);
      } catch {
        const where = params as { tenantId: string; sessionId: string };
        return { answer: 'updated', session: (await storage.sessions.get(where))?.session };
      }
    },
  },
};
