import type { Mistake } from './mistakes.js';

type Params = Record<string, unknown>;
type Task = Params & { readonly metadata?: object };

const withoutBudget = (task: Params): Params => ({ ...task, budgetTokens: undefined });

/** A change of the task of a submission. */
const changingTask =
  (change: (task: Task) => Task): Mistake =>
  (params, original) => {
    const submission = params['submission'] as Params;
    return original({ ...params, submission: { ...submission, task: change(submission['task'] as Task) } });
  };

const withUsage =
  (change: (usage: Params) => Params): Mistake =>
  (params, original) => {
    const answer = params['answer'] as Params;
    if (!answer['usage']) return original(params);
    return original({ ...params, answer: { ...answer, usage: change(answer['usage'] as Params) } });
  };

/** Mistakes with usage, budgets and the limits of tenants, by method. */
export const brokenBudgets: Readonly<Record<string, Readonly<Record<string, Mistake>>>> = {
  'tasks.submit': {
    'reserves no budget': changingTask((task) => withoutBudget(task)),
    'reserves a token': changingTask((task) =>
      task['budgetTokens'] === undefined ? task : { ...task, budgetTokens: 1 },
    ),
    'does not say when a budget has something left': async (params, original) => {
      const answer = await original(params);
      return answer['answer'] === 'budget_exceeded' ? { ...answer, retryAt: 0 } : answer;
    },
    'forgets the user of a task': changingTask((task) => ({ ...task, metadata: {} })),
  },
  'tasks.submitBatch': {
    'reserves no budget': (params, original) => {
      const batch = params['batch'] as Params & { readonly items: readonly Params[] };
      const items = batch.items.map((item) =>
        'task' in item ? { ...item, task: withoutBudget(item['task'] as Params) } : item,
      );
      return original({ ...params, batch: { ...batch, items } });
    },
  },
  'tasks.register': {
    'knows no parents': (params, original) =>
      original({ ...params, task: { ...(params['task'] as Params), parent_task_id: undefined } }),
    'admits a call beyond the rate': async (params, original) => {
      const answer = await original(params);
      if (answer['answer'] !== 'rate_limited') return answer;
      return original({ ...params, call: undefined });
    },
  },
  'journal.begin': {
    'begins a call that has to wait': async (params, original) => {
      const answer = (await original(params)) as Params & { readonly step?: Params };
      return answer.step?.['backingOff'] === true ? { ...answer, answer: 'begun' } : answer;
    },
    'asks another service': (params, original) => {
      const step = params['step'] as Params & { readonly call?: object };
      return original({
        ...params,
        step: { ...step, ...(step.call && { call: { ...step.call, service: 'any' } }) },
      });
    },
  },
  'journal.record': {
    'counts no parts of tokens': withUsage(({ prompt_tokens: _, completion_tokens: __, ...usage }) => usage),
    'counts no cost': withUsage(({ cost: _, ...usage }) => usage),
    'counts no usage of a lost worker': async (params, original) => {
      const answer = await original({ ...params, callId: undefined });
      return answer['answer'] === 'lease_lost' ? answer : original(params);
    },
  },
  'journal.report': {
    'counts no usage': (params, original) => {
      const body = params['body'] as Params;
      return original({ ...params, body: { ...body, usage: undefined } });
    },
  },
  'tasks.redrive': {
    'does not say when a budget has something left': async (params, original) => {
      const answer = await original(params);
      return answer['answer'] === 'budget_exceeded' ? { ...answer, retryAt: 0 } : answer;
    },
  },
  'usage.add': {
    'knows no calls': (params, original) => original({ ...params, callId: undefined }),
    'knows no tasks': (params, original) => original({ ...params, taskId: undefined }),
    'knows no users': (params, original) => original({ ...params, userId: undefined }),
    'adds no cost': (params, original) => original({ ...params, cost: undefined }),
    'adds no tokens of prompts': (params, original) => original({ ...params, promptTokens: undefined }),
    'adds to another tenant': (params, original) => original({ ...params, tenantId: 'all' }),
  },
  'usage.sum': {
    'sums by day, model and operation only': (params, original) => original({ ...params, by: undefined }),
    'returns a row for each user': (params, original) =>
      original({ ...params, by: [...new Set([...((params['by'] as string[]) ?? []), 'user'])] }),
  },
  'tenants.configure': Object.fromEntries(
    ['maxWaiting', 'maxStoredBytes', 'retentionMs', 'types', 'services', 'budgets'].flatMap(
      (setting) =>
        [
          [`knows no ${setting}`, (params, original) => original({ ...params, [setting]: undefined })],
          [
            `never takes ${setting} back`,
            (params, original) => original({ ...params, [setting]: params[setting] ?? undefined }),
          ],
        ] satisfies [string, Mistake][],
    ),
  ),
};
