import { type JsonValue, OrchestratorError, type WorkflowContext } from '../../src/index.js';
import type { CallNode, CaughtNode, Kind, Node, RaceNode, SignalNode } from './random-workflows.js';

const HOUR_MS = 3_600_000;

/** What a program does outside of its journal: owned by the process that runs it. */
export interface Outside {
  reached(kind: Kind): void;
  effect(taskId: string, stepKey: string): Promise<number>;
  /** The workflow's time was another one than in an earlier run: never within an attempt. */
  timeDiffered(taskId: string): void;
  isMended(sessionId: string | undefined): boolean;
}

type Run<N extends Node> = (ctx: WorkflowContext, node: N, outside: Outside) => Promise<JsonValue>;
type NodeOf<K extends Kind, N = Node> = N extends { readonly kind: infer Kinds }
  ? K extends Kinds
    ? N
    : never
  : never;

/** Twice what any job takes before it is reported on. */
const SILENCE_MS = 240_000;

const call: Run<CallNode> = (ctx, { ask, step, named }) =>
  ctx.call<JsonValue>(ask.job ? 'slow' : 'quick', 'work', ask, {
    timeoutMs: SILENCE_MS,
    ...(named && { id: step }),
  });

const race: Run<RaceNode> = (ctx, { ask, sleepMs }) =>
  Promise.race([
    ctx.call<JsonValue>(ask.job ? 'slow' : 'quick', 'work', ask, { timeoutMs: 12 * HOUR_MS }),
    ctx.sleep(sleepMs).then(() => 'slept'),
  ]);

/** Every signal that is sent comes long before that. */
const awaited: Run<SignalNode> = (ctx, { name }) =>
  ctx.waitForSignal<JsonValue>(name, { timeoutMs: 24 * HOUR_MS });

const failing = (ctx: WorkflowContext, { ask }: CaughtNode) =>
  ctx.call<JsonValue>(ask.job ? 'slow' : 'quick', 'work', ask, { timeoutMs: SILENCE_MS });

async function codeOf(work: Promise<JsonValue>, code: string): Promise<JsonValue> {
  try {
    return await work;
  } catch (error) {
    const caught = error instanceof OrchestratorError && error.code === code && !error.retryable;
    if (!caught) throw error;
    return { caught: error.message };
  }
}

const RUN: { readonly [K in Kind]: Run<NodeOf<K>> } = {
  quick: call,
  turned_away: call,
  flaky: call,
  job: call,
  early_job: call,
  repeated_job: call,
  silent_job: call,
  failing_job: call,
  race_won_by_call: race,
  race_won_by_sleep: race,
  signal_early: awaited,
  signal_late: awaited,
  signal_never: (ctx, { name, afterMs }) =>
    codeOf(ctx.waitForSignal<JsonValue>(name, { timeoutMs: afterMs }), 'timeout'),
  caught: (ctx, node) => codeOf(failing(ctx, node), 'service_error'),
  sequence: async (ctx, { of }, outside) => {
    const results: JsonValue[] = [];
    for (const inner of of) results.push(await interpret(ctx, inner, outside));
    return results;
  },
  all: (ctx, { of }, outside) => Promise.all(of.map((inner) => interpret(ctx, inner, outside))),
  settled: async (ctx, { of }, outside) => {
    const results = await Promise.allSettled(of.map((inner) => interpret(ctx, inner, outside)));
    return results.map((result) => {
      if (result.status === 'rejected') throw result.reason;
      return result.value;
    });
  },
  finally: async (ctx, { first, next }, outside) => {
    try {
      return await interpret(ctx, first, outside);
    } finally {
      await interpret(ctx, next, outside);
    }
  },
  compensated: async (ctx, { first, next }, outside) => {
    try {
      return await interpret(ctx, first, outside);
    } catch (error) {
      await interpret(ctx, next, outside);
      throw error;
    }
  },
  fallback: async (ctx, { first, next }, outside) => {
    try {
      return await failing(ctx, first as CaughtNode);
    } catch (error) {
      const isFinal =
        error instanceof OrchestratorError && error.code === 'service_error' && !error.retryable;
      if (!isFinal) throw error;
      return interpret(ctx, next, outside);
    }
  },
  failing_run: (ctx, { attempts, step }) =>
    ctx.run<JsonValue>(
      'failing',
      () => {
        if (ctx.attempt <= attempts) throw Object.assign(new Error(`not yet ${step}`), { retryable: true });
        return step;
      },
      { id: step },
    ),
  broken: async (ctx, { step }, outside) => {
    if (!outside.isMended(ctx.sessionId)) throw new OrchestratorError('invalid_request', 'broken');
    return step;
  },
  sleep: async (ctx, { ms }) => {
    await ctx.sleep(ms);
    return ms;
  },
  foreign: async (_, { turns }) => {
    for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    return turns;
  },
  throwing: async (ctx, { attempts, step }) => {
    if (ctx.attempt <= attempts) throw Object.assign(new Error(`not yet ${step}`), { retryable: true });
    return step;
  },
  effect: async (ctx, { step }, outside) => {
    await ctx.run('effect', () => outside.effect(ctx.taskId, `#${step}`), { id: step });
    return step;
  },
  time: async (ctx, { step }, outside) => {
    const now = ctx.now();
    const first = await ctx.run('time', () => now, { id: step });
    if (first !== now) outside.timeDiffered(ctx.taskId);
    return step;
  },
  random: async (ctx) => [ctx.random(), ctx.uuid()],
  progress: async (ctx, { step }) => {
    await ctx.progress({ message: step });
    return step;
  },
  message: async (ctx, { step }) => {
    const { message_id, content } = await ctx.session.append({ role: 'assistant', content: step });
    return { message_id, content };
  },
};

/** Runs a program as a workflow; its result has that of every node. */
export async function interpret(ctx: WorkflowContext, node: Node, outside: Outside): Promise<JsonValue> {
  const result = await (RUN[node.kind] as Run<Node>)(ctx, node, outside);
  outside.reached(node.kind);
  return result;
}
