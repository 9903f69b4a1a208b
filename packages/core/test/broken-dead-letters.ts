import type { Task } from '../src/index.js';
import { answers, forgets, type Mistake } from './mistakes.js';

/** The filter of a list without one of its fields. */
const ignores =
  (field: string): Mistake =>
  (params, original) => {
    const { [field]: _, ...filter } = params['filter'];
    return original({ ...params, filter });
  };

/** Mistakes with dead letters, by method. */
export const brokenDeadLetters: Readonly<Record<string, Readonly<Record<string, Mistake>>>> = {
  'tasks.list': {
    'ignores the code': ignores('code'),
    'ignores the time': ignores('since'),
    'ignores the beginning of the id': ignores('idPrefix'),
    'takes changes after the time only': (params, original) => {
      const { since } = params['filter'] as { readonly since?: number };
      if (since === undefined) return original(params);
      return original({ ...params, filter: { ...(params['filter'] as object), since: since + 1 } });
    },
  },
  'tasks.discard': {
    'removes nothing': forgets({ answer: 'discarded' }),
    'says nothing of a repeat': answers((answer) =>
      answer['answer'] === 'not_found' ? { answer: 'discarded' } : answer,
    ),
    'takes any task': answers((answer) =>
      answer['answer'] === 'not_failed' ? { answer: 'discarded' } : answer,
    ),
    'discards tasks of any tenant': (params, original) =>
      original({ ...params, tenantId: String(params['tenantId']).replace(/^o-/, 't-') }),
    'lets it run again': async (params, original, storage) => {
      const found = await storage.tasks.get(params as never);
      const answer = await original(params);
      if (!found || answer['answer'] !== 'discarded') return answer;
      const { type, payload, task_id } = found.task;
      const task = { task_id, type, payload, priority: 4, metadata: {}, timeoutMs: 60_000, maxAttempts: 5 };
      const submission = { task, onBusy: 'enqueue' } as const;
      await storage.tasks.submit({ tenantId: params.tenantId, submission, maxWaiting: 10 });
      return answer;
    },
  },
  'tasks.redrive': {
    'forgets the payload': (params, original) => original({ ...params, payload: undefined }),
    'takes another payload for a repeat': async (params, original) => {
      const answer = await original(params);
      return answer['answer'] === 'other_payload' ? original({ ...params, payload: undefined }) : answer;
    },
    'takes over the journal with another payload': async (params, original) => {
      if (params.payload === undefined) return original(params);
      const answer = await original({ ...params, payload: undefined });
      return { ...answer, task: { ...(answer['task'] as Task), payload: params.payload as never } };
    },
  },
};
