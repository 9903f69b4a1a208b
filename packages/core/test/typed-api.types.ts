/** Type tests: what must compile, and, after `@ts-expect-error`, what must not. Checked with the types of all tests. */
import { z } from 'zod';
import {
  type CallStage,
  defineWorkflow,
  type JsonValue,
  Orchestrator,
  type StandardSchema,
  type Task,
  type TaskEvent,
  type TenantHandle,
  type WorkflowContext,
  type WorkflowDefinition,
} from '../src/index.js';

/** Assignable to each other, and neither is `any`. */
type Same<A, B> = [A] extends [B]
  ? [B] extends [A]
    ? IsAny<A> extends IsAny<B>
      ? true
      : false
    : false
  : false;
type IsAny<T> = 0 extends 1 & T ? true : false;
function same<A, B>(_: Same<A, B>): void {}

const contracts = {
  query: {
    query: {
      input: z.object({ question: z.string(), limit: z.number().default(5) }),
      result: z.object({ answer: z.string(), at: z.string().transform((text) => new Date(text)) }),
    },
    ping: {},
  },
  mailer: { send: { input: z.object({ to: z.string() }) } },
  legacy: {},
};
type C = typeof contracts;

const orchestrator = new Orchestrator({
  contracts,
  services: {
    query: {
      run: (call) => {
        if (call.operation === 'query') same<typeof call.input, { question: string; limit: number }>(true);
        return { answer: 'yes' };
      },
    },
    // A service without a contract.
    other: { run: (call) => call.input },
    // @ts-expect-error a setting of the wrong type
    wrong: { url: 5 },
  },
});

export async function calls(ctx: WorkflowContext<C>): Promise<void> {
  const found = await ctx.call('query', 'query', { question: 'q' });
  same<typeof found, { answer: string; at: Date }>(true);
  same<Awaited<ReturnType<typeof ctx.waitForSignal>>, unknown>(true);
  const sent = await ctx.call('mailer', 'send', { to: 'x' }, { timeoutMs: 5, retry: { maxAttempts: 2 } });
  same<typeof sent, unknown>(true);
  await ctx.call('query', 'ping');
  await ctx.call('legacy', 'anything', { any: 1 });
  // @ts-expect-error a service without a contract
  await ctx.call('querry', 'query', { question: 'q' });
  // @ts-expect-error an operation that the contract does not have
  await ctx.call('query', 'ask', { question: 'q' });
  // @ts-expect-error an input of the wrong type
  await ctx.call('query', 'query', { question: 5 });
  // @ts-expect-error an input without a required field
  await ctx.call('query', 'query', {});
  // @ts-expect-error no input where one is required
  await ctx.call('mailer', 'send');
  // @ts-expect-error a field that the result does not have
  void found.answr;
  // @ts-expect-error an option in the casing of the wire
  await ctx.call('mailer', 'send', { to: 'x' }, { timeout_ms: 5 });
}

export async function looseCalls(ctx: WorkflowContext): Promise<void> {
  const found = await ctx.call('any', 'thing');
  same<typeof found, unknown>(true);
  const stated = await ctx.call<{ answer: string }>('any', 'thing', { deep: { list: [1] } });
  same<typeof stated, { answer: string }>(true);
  // @ts-expect-error not JSON
  await ctx.call('any', 'thing', 5n);
  // @ts-expect-error the context is camelCase
  void ctx.task_id;
}

// The contracts of the orchestrator type the context, unless it is annotated.
orchestrator
  .workflow('inferred', async (ctx, input: { question: string }) => {
    same<typeof ctx, WorkflowContext<C>>(true);
    return ctx.call('query', 'query', input);
  })
  .workflow('loose', { timeoutMs: 5 }, async (ctx: WorkflowContext) => ctx.call('any', 'thing'));
// @ts-expect-error an option that there is not
orchestrator.workflow('bad', { timeout_ms: 5 }, async () => 1);

const refund = defineWorkflow(
  'refund',
  {
    input: z.object({ order: z.string(), note: z.string().default('') }),
    output: z.object({ cents: z.number() }),
  },
  async (ctx: WorkflowContext<C>, input) => {
    same<typeof input, { order: string; note: string }>(true);
    await ctx.call('mailer', 'send', { to: input.order });
    return { cents: 5 };
  },
);
same<typeof refund, WorkflowDefinition<{ order: string; note?: string | undefined }, { cents: number }>>(
  true,
);
const inferred = defineWorkflow('inferred', {}, async (_, input: { n: number }) => ({
  doubled: input.n * 2,
}));
same<typeof inferred, WorkflowDefinition<{ n: number }, { doubled: number }>>(true);
const noted = defineWorkflow('noted', { input: z.string(), maxAttempts: 1 }, (_, text) => text.length);
same<typeof noted, WorkflowDefinition<string, number>>(true);
// @ts-expect-error a result that its schema does not accept
defineWorkflow('wrong', { output: z.object({ cents: z.number() }) }, async () => ({ cents: '5' }));
// @ts-expect-error no schema
defineWorkflow('wrong', { input: { type: 'object' } }, async () => 1);
orchestrator.workflow(refund).workflow(noted);

interface Order {
  readonly order: string;
}

export async function submissions(acme: TenantHandle, order: Order): Promise<void> {
  const task = await acme.tasks.submit(refund, order, {
    priority: 9,
    sessionId: 's-1',
    runAt: new Date(),
    onBusy: 'parallel',
    idempotencyKey: 'k',
    signal: AbortSignal.timeout(5),
  });
  same<typeof task.task, Task<{ cents: number }>>(true);
  const result = await task.result({ timeoutMs: 5 });
  same<typeof result, { cents: number }>(true);
  for await (const event of task.events()) {
    if (event.event === 'task_completed') same<typeof event.data, { cents: number }>(true);
    if (event.event === 'task_created') same<typeof event.data.priority, number>(true);
    // @ts-expect-error an event that there is not
    if (event.event === 'task_done') return;
  }
  // An interface as payload, by name.
  const named = await acme.tasks.submit({ type: 'refund', payload: order });
  same<Awaited<ReturnType<typeof named.result>>, JsonValue>(true);
  const stated = await acme.tasks.submit<{ cents: number }>({ type: 'refund', payload: order });
  same<Awaited<ReturnType<typeof stated.result>>, { cents: number }>(true);
  // @ts-expect-error an input of the wrong type
  await acme.tasks.submit(refund, { order: 5 });
  // @ts-expect-error an input without a required field
  await acme.tasks.submit(refund, {});
  // @ts-expect-error no input
  await acme.tasks.submit(refund);
  // @ts-expect-error an option in the casing of the wire
  await acme.tasks.submit(refund, order, { session_id: 's-1' });
  // @ts-expect-error a payload that JSON does not have
  await acme.tasks.submit({ type: 'refund', payload: 5n });
  // @ts-expect-error no such status
  await acme.tasks.list({ status: 'done' });
  // @ts-expect-error there is one `submit`
  await acme.tasks.accept({ type: 'refund' });
}

export function events(event: TaskEvent): string | undefined {
  switch (event.event) {
    case 'task_failed':
      return event.data.code;
    case 'session_updated':
      same<typeof event.task_id, undefined>(true);
      return event.data.status;
    case 'task_status_update':
      return event.data.status;
    case 'task_created':
    case 'task_started':
    case 'task_completed':
      same<typeof event.task_id, string>(true);
      return event.task_id;
    default:
      return event satisfies never;
  }
}

// Hooks and stages.
orchestrator.on('callEnded', ({ service, durationMs }) => {
  same<[typeof service, typeof durationMs], [string, number]>(true);
});
// @ts-expect-error an event that there is not
orchestrator.on('callForgotten', () => {});
const stage: CallStage = async (call, next) => {
  const result = await next({ ...call, traceparent: undefined });
  if (result.kind === 'transient') return { kind: 'answer', answer: { kind: 'accepted', jobId: 'job-1' } };
  return result;
};
void new Orchestrator({
  callStages: [stage],
  services: { mcp: { send: (call) => stage(call, async () => never()) } },
});
function never(): never {
  throw new Error('not called');
}

// A typed orchestrator is one for functions that take any.
export const any: Orchestrator = orchestrator;
// Any library with Standard Schema.
declare const own: StandardSchema<{ n: string }, { n: number }>;
const transformed = defineWorkflow('transformed', { input: own }, (_, { n }) => n);
same<typeof transformed, WorkflowDefinition<{ n: string }, number>>(true);
