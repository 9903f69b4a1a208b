import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import {
  defineWorkflow,
  MemoryStorage,
  Orchestrator,
  type WorkflowContext,
  type WorkflowFunction,
} from '../src/index.js';
import { readRecording, recordingOf, replayRun, type RunRecording } from '../src/testing/index.js';

const TENANT = 'acme';

interface Recorded {
  readonly orchestrator: Orchestrator;
  readonly record: (taskId: string) => Promise<RunRecording>;
}

async function withOrchestrator<T>(
  workflows: Readonly<Record<string, WorkflowFunction<never>>>,
  act: (recorded: Recorded) => Promise<T>,
): Promise<T> {
  const storage = new MemoryStorage();
  const orchestrator = new Orchestrator({
    storage,
    services: { math: { run: async ({ input }) => ({ twice: 2 * (input as { n: number }).n }) } },
  });
  for (const [type, fn] of Object.entries(workflows)) orchestrator.workflow(type, fn as WorkflowFunction);
  await orchestrator.start();
  try {
    const record = async (taskId: string) => {
      const { task, origin, steps, events } = await orchestrator.admin.journal({ tenantId: TENANT, taskId });
      // As a file has it.
      return readRecording(JSON.parse(JSON.stringify(recordingOf({ task, origin, steps, events }))));
    };
    return await act({ orchestrator, record });
  } finally {
    await orchestrator.stop({ graceMs: 0 });
    await storage.close();
  }
}

/** The recording of a task that has come to its end. */
function recordingFrom(
  fn: WorkflowFunction<never>,
  payload: object = {},
  maxAttempts = 1,
): Promise<RunRecording> {
  return withOrchestrator({ work: fn }, async ({ orchestrator, record }) => {
    const { tasks } = orchestrator.tenant(TENANT);
    const submitted = await tasks.submit({
      type: 'work',
      payload: { ...payload },
      max_attempts: maxAttempts,
    });
    await tasks.wait(submitted.task_id, { timeoutMs: 20_000 });
    return record(submitted.task_id);
  });
}

const replayed = (recording: RunRecording, fn: WorkflowFunction<never>) =>
  replayRun({ recording, workflows: { work: fn }, idleMs: 200 });

let worked = 0;
const usual = async (ctx: WorkflowContext, { n }: { readonly n: number }) => {
  const id = ctx.uuid();
  const [a, b] = await Promise.all([
    ctx.call<{ twice: number }>('math', 'double', { n }),
    ctx.run('read', async () => {
      worked += 1;
      return n + 1;
    }),
  ]);
  await ctx.sleep(1);
  await ctx.progress({ message: 'nearly' });
  return { id, sum: a.twice + b, at: ctx.now(), luck: ctx.random() };
};

describe('a replay of a recorded run', () => {
  it('does what is recorded with the same code, and executes nothing', async () => {
    const recording = await recordingFrom(usual, { n: 3 });
    expect(recording.task.status).toBe('completed');
    expect(recording.events.map(({ event }) => event)).toContain('task_completed');
    const before = worked;
    expect(await replayed(recording, usual)).toEqual({ replayed: 3 });
    expect(worked).toBe(before);
  });

  it.each<[string, WorkflowFunction<never>, object]>([
    [
      'a step of another name',
      async (ctx: WorkflowContext) => {
        await ctx.run('first', () => 1);
        await ctx.run('renamed', () => 2);
        return 3;
      },
      { step: 'run second', expected: 'a request of "run second"', got: 'a request of "run renamed"' },
    ],
    [
      'a step more',
      async (ctx: WorkflowContext) => {
        await ctx.run('first', () => 1);
        await ctx.run('second', () => 2);
        await ctx.call('math', 'double', { n: 1 });
        return 3;
      },
      { step: 'math.double', expected: 'the recorded result', got: 'a request of "math.double"' },
    ],
    [
      'a step less',
      async (ctx: WorkflowContext) => {
        await ctx.run('first', () => 1);
        return 3;
      },
      { step: 'run second', got: 'the end of the function' },
    ],
    [
      'another result',
      async (ctx: WorkflowContext) => {
        await ctx.run('first', () => 1);
        await ctx.run('second', () => 2);
        return 4;
      },
      { step: 'end', expected: 'the recorded result', got: 'another one' },
    ],
    [
      'an error',
      async (ctx: WorkflowContext) => {
        await ctx.run('first', () => 1);
        await ctx.run('second', () => 2);
        throw new Error('new bug');
      },
      { step: 'end', got: 'an error: new bug' },
    ],
    [
      'an error before a recorded step',
      async () => {
        throw new Error('at once');
      },
      { step: 'run first', got: 'an error: at once' },
    ],
    [
      'a result that is no JSON',
      async (ctx: WorkflowContext) => {
        await ctx.run('first', () => 1);
        await ctx.run('second', () => 2);
        return 3n;
      },
      { step: 'end', expected: 'the recorded result', got: 'another one' },
    ],
    [
      'a promise that is no step',
      async (ctx: WorkflowContext) => {
        await ctx.run('first', () => 1);
        await new Promise(() => {});
      },
      { step: 'run second', got: expect.stringContaining('awaits something other than a step') },
    ],
  ])('names the step at which the function departs by %s', async (_, changed, departure) => {
    const recording = await recordingFrom(async (ctx: WorkflowContext) => {
      await ctx.run('first', () => 1);
      await ctx.run('second', () => 2);
      return 3;
    });
    expect((await replayed(recording, changed)).departure).toMatchObject(departure);
  });

  it('waits for a branch that awaits a little beside its steps', async () => {
    const branches = async (ctx: WorkflowContext) => {
      await Promise.all([ctx.run('one', () => 1), pause(5).then(() => ctx.run('two', () => 2))]);
      return 'done';
    };
    expect(await replayed(await recordingFrom(branches), branches)).toEqual({ replayed: 2 });
  });

  it('of a run that failed, with the fault mended, names the first step that is new', async () => {
    const recording = await recordingFrom(async (ctx: WorkflowContext) => {
      const price = await ctx.run<{ amount?: number }>('price', () => ({}));
      if (price.amount === undefined) throw new Error('no amount');
      return ctx.call('math', 'double', { n: price.amount });
    });
    expect(recording.task).toMatchObject({ status: 'failed' });
    const { departure } = await replayed(recording, async (ctx: WorkflowContext) => {
      const price = await ctx.run<{ amount?: number }>('price', () => ({}));
      return ctx.call('math', 'double', { n: price.amount ?? 0 });
    });
    expect(departure).toMatchObject({ step: 'math.double', expected: 'the recorded failure' });
  });

  it('has steps that an earlier attempt left', async () => {
    let attempts = 0;
    const flaky = async (ctx: WorkflowContext) => {
      const first = await ctx.run('first', () => 'kept');
      attempts += 1;
      if (attempts === 1) throw Object.assign(new Error('later'), { retryable: true });
      return { first };
    };
    const recording = await recordingFrom(flaky, {}, 2);
    if (recording.task.status === 'completed') expect(recording.origin.inherited).toBeGreaterThan(0);
    attempts = 1;
    expect((await replayed(recording, flaky)).departure).toBeUndefined();
  });

  it('of a task in progress says where the recording ends', async () => {
    const waits = async (ctx: WorkflowContext) => {
      await ctx.run('first', () => 1);
      await ctx.waitForSignal('approved');
      return 'done';
    };
    await withOrchestrator({ work: waits }, async ({ orchestrator, record }) => {
      const { tasks } = orchestrator.tenant(TENANT);
      const { task_id } = await tasks.submit({ type: 'work', payload: {} });
      let recording = await record(task_id);
      while (recording.steps.length < 2) {
        await pause(5);
        recording = await record(task_id);
      }
      expect(await replayed(recording, waits)).toEqual({
        replayed: 1,
        ends: 'a wait for a step in progress',
      });
      const longer = async (ctx: WorkflowContext) => {
        await ctx.run('first', () => 1);
        await Promise.all([ctx.waitForSignal('approved'), ctx.run('beside', () => 2)]);
      };
      expect(await replayed(recording, longer)).toEqual({ replayed: 1, ends: 'before "run beside"' });
    });
  });

  it('finds definitions and the built-in workflows, and refuses an unknown type', async () => {
    const definition = defineWorkflow('work', {}, async (ctx) => ctx.run('first', () => 1));
    const recording = await recordingFrom(async (ctx: WorkflowContext) => ctx.run('first', () => 1));
    expect(await replayRun({ recording, workflows: { any: definition } })).toEqual({ replayed: 1 });
    await expect(replayRun({ recording })).rejects.toMatchObject({
      code: 'unknown_workflow',
      message: expect.stringContaining('got a recording of "work"'),
    });
    const plan = { steps: [{ id: 'double', service: 'math', operation: 'double', input: { n: 2 } }] };
    const built = await withOrchestrator({}, async ({ orchestrator, record }) => {
      const { tasks } = orchestrator.tenant(TENANT);
      const { task_id } = await tasks.submit({ type: 'workflow', payload: { plan } });
      await tasks.wait(task_id, { timeoutMs: 20_000 });
      return record(task_id);
    });
    expect(built.task.status).toBe('completed');
    expect((await replayRun({ recording: built })).departure).toBeUndefined();
  });

  it('ends with its signal', async () => {
    const recording = await recordingFrom(async (ctx: WorkflowContext) => ctx.run('first', () => 1));
    const stop = new AbortController();
    const report = replayRun({
      recording,
      workflows: { work: () => new Promise(() => {}) },
      idleMs: 60_000,
      signal: stop.signal,
    });
    stop.abort(new Error('enough'));
    await expect(report).rejects.toThrow('enough');
  });

  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['a text', 'recording'],
    ['another format', { format: 'other', version: 1 }],
    [
      'steps without a key',
      { format: 'agent-orchestrator.run', version: 1, task: {}, origin: {}, steps: [{}] },
    ],
  ])('refuses %s in place of a recording', (_, json) => {
    expect(() => readRecording(json)).toThrow(expect.objectContaining({ code: 'invalid_request' }));
  });
});
