import type { RecordAnswerParams } from '../src/storage/index.js';
import type { Answer, Mistake, Original, Parameter } from './mistakes.js';

type Created = RecordAnswerParams & Required<Pick<RecordAnswerParams, 'create'>>;

/** A mistake with own work only. */
const ofOwnWork =
  (mistake: (params: Created, original: Original, storage: Parameters<Mistake>[2]) => unknown): Mistake =>
  async (params: Parameter, original, storage) =>
    params['create'] === undefined ? original(params) : mistake(params as Created, original, storage);

const creating = (change: (create: Created['create'], params: Created) => object): Mistake =>
  ofOwnWork((params, original) =>
    original({ ...params, create: { ...params.create, ...change(params.create, params) } }),
  );

const answering = (change: (answer: Answer) => Answer): Mistake =>
  ofOwnWork(async (params, original) => change(await original(params)));

/** Begins the step apart, so that the answers are those for a step that exists. */
const begunBefore: Mistake = ofOwnWork(async (params, original, storage) => {
  const { create, ...ended } = params;
  const { key, token = '' } = params;
  const step = { key, kind: 'run', name: create.name } as const;
  const begun = await storage.journal.begin({ ...params, token, step, maxSteps: create.maxSteps });
  return 'changes' in begun ? original(ended) : begun;
});

/** Mistakes with own work that is stored with its outcome. */
export const brokenOwnWork: Readonly<Record<string, Readonly<Record<string, Mistake>>>> = {
  'journal.record': {
    'creates no step': ofOwnWork(({ create: _, ...params }, original) => original(params)),
    'creates steps without a limit': creating(() => ({ maxSteps: 1_000_000 })),
    'counts a repeat as one more step': ofOwnWork(async (params, original, storage) => {
      const page = await storage.journal.read({ ...params, token: params.token ?? '', after: 0 });
      const isFull = page.answer === 'page' && page.steps.length >= params.create.maxSteps;
      return isFull ? { answer: 'too_many_steps' } : original(params);
    }),
    'names the step by its key': creating((_, { key }) => ({ name: key })),
    'takes any step of the key for the same': begunBefore,
    'says that it did what it refused': answering((answer) =>
      answer['answer'] === 'step_mismatch' ? { answer: 'known', journalRev: 0, changes: [] } : answer,
    ),
    'does not say which step is in the way': answering((answer) =>
      answer['answer'] === 'step_mismatch' ? { ...answer, name: '' } : answer,
    ),
    'believes any token': answering((answer) =>
      answer['answer'] === 'lease_lost' ? { answer: 'recorded', journalRev: 0, changes: [] } : answer,
    ),
    'records failures as successes': ofOwnWork((params, original) =>
      original({ ...params, answer: { kind: 'outcome', outcome: { ok: true, value: null } } }),
    ),
    'keeps the last outcome': ofOwnWork(async (params, original) => {
      const answer = await original(params);
      const changes = answer['changes'] as { key: string; outcome: unknown }[] | undefined;
      if (answer['answer'] !== 'known' || params.answer.kind !== 'outcome') return answer;
      const { outcome } = params.answer;
      return {
        ...answer,
        changes: changes?.map((step) => (step.key === params.key ? { ...step, outcome } : step)),
      };
    }),
    'forgets that the task is to be cancelled': answering(({ cancelReason: _, ...answer }) => answer),
    'stores without an answer what it refuses': ofOwnWork(async (params, original, storage) => {
      const answer = await original(params);
      if (answer['answer'] !== 'too_many_steps') return answer;
      await original({ ...params, create: { ...params.create, maxSteps: 1_000_000 } });
      return storage === undefined ? undefined : answer;
    }),
  },
};
