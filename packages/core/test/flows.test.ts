import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import {
  accepted,
  answered,
  InProcessTransport,
  Orchestrator,
  type OrchestratorOptions,
  type ServiceCall,
  TaskNotifier,
} from '../src/index.js';

const open: Orchestrator[] = [];

async function started(options: OrchestratorOptions = {}): Promise<Orchestrator> {
  const orchestrator = new Orchestrator({ leaseMs: 2_000, ...options });
  open.push(orchestrator);
  await orchestrator.start();
  return orchestrator;
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((orchestrator) => orchestrator.stop({ graceMs: 100 })));
});

describe('a workflow', () => {
  it('calls a service that responds at once', async () => {
    const orchestrator = await started({
      services: {
        echo: { run: (call: ServiceCall) => answered({ said: call.input }, { tokens: 3, model: 'm' }) },
      },
    });
    orchestrator.workflow('greet', async (ctx, input: { name: string }) =>
      ctx.call('echo', 'say', `hello ${input.name}`),
    );
    const acme = orchestrator.tenant('acme');
    const task = await acme.tasks.submit({ type: 'greet', payload: { name: 'you' } });
    const ended = await acme.tasks.wait(task.task_id);
    expect(ended).toMatchObject({
      status: 'completed',
      result: { said: 'hello you' },
      attempt: 1,
      usage: { tokens: 3 },
    });
    const events = [];
    for await (const event of acme.events.follow({ task_id: task.task_id })) events.push(event.event);
    expect(events).toEqual(['task_created', 'task_started', 'task_completed']);
  });

  it('waits for a job without a worker, and continues at the notification', async () => {
    const calls: ServiceCall[] = [];
    const orchestrator = await started({
      concurrency: 1,
      parkAfterMs: 0,
      services: {
        slow: {
          run: (call: ServiceCall) => {
            calls.push(call);
            return accepted(`job-${calls.length}`);
          },
        },
      },
    });
    let runs = 0;
    orchestrator.workflow('two', async (ctx) => {
      runs += 1;
      const [a, b] = await Promise.all([
        ctx.call('slow', 'work', { n: 1 }),
        ctx.call('slow', 'work', { n: 2 }),
      ]);
      return { a, b };
    });
    const acme = orchestrator.tenant('acme');
    const first = await acme.tasks.submit({ type: 'two' });
    const second = await acme.tasks.submit({ type: 'two' });
    while (calls.length < 4) await delay(5);
    const notifier = new TaskNotifier({
      serviceName: 'slow',
      transport: new InProcessTransport(orchestrator.hub('slow')),
    });
    for (const [index, call] of calls.entries()) {
      const ack = await notifier.notifyTaskCompletion({
        task_id: `job-${index + 1}`,
        tenant_id: 'acme',
        result: call.input,
      });
      expect(ack.outcome).toBe('applied');
    }
    for (const task of [first, second]) {
      expect(await acme.tasks.wait(task.task_id)).toMatchObject({
        status: 'completed',
        result: { a: { n: 1 }, b: { n: 2 } },
        attempt: 1,
      });
    }
    expect(calls.length).toBe(4);
    expect(runs).toBeGreaterThan(2);
    await notifier.close();
  });

  it('sleeps, waits for signals, and keeps the results of own work', async () => {
    const orchestrator = await started();
    let sideEffects = 0;
    orchestrator.workflow('approve', async (ctx) => {
      const started = ctx.now();
      const id = await ctx.run('make', () => {
        sideEffects += 1;
        return { id: ctx.uuid() };
      });
      await ctx.sleep(30);
      const decision = await ctx.waitForSignal('decision', { timeoutMs: 5_000 });
      return { id, decision, slept: ctx.now() - started >= 30, random: ctx.random() };
    });
    const acme = orchestrator.tenant('acme');
    const { task_id } = await acme.tasks.submit({ type: 'approve' });
    await acme.tasks.signal(task_id, 'decision', { approved: true });
    const ended = await acme.tasks.wait(task_id);
    expect(ended.result).toMatchObject({ decision: { approved: true }, slept: true });
    expect(sideEffects).toBe(1);
  });

  it('that is cancelled while parked notifies its service', async () => {
    const orchestrator = await started({ services: { slow: { run: () => accepted('job-1') } } });
    const notifier = new TaskNotifier({
      serviceName: 'slow',
      transport: new InProcessTransport(orchestrator.hub('slow')),
    });
    const received = new Promise((resolve) => notifier.on('task_cancel', resolve));
    orchestrator.workflow('wait', (ctx) => ctx.call('slow', 'work'));
    const acme = orchestrator.tenant('acme');
    const { task_id } = await acme.tasks.submit({ type: 'wait' });
    while ((await acme.tasks.get(task_id)).delegated_services[0]?.task_id !== 'job-1') await delay(5);
    await acme.tasks.cancel(task_id, { reason: 'no longer needed' });
    expect(await acme.tasks.wait(task_id)).toMatchObject({
      status: 'cancelled',
      error: { code: 'cancelled', message: 'no longer needed' },
    });
    expect(await received).toMatchObject({
      event: 'task_cancel',
      task_id: 'job-1',
      reason: 'no longer needed',
      global_task_id: task_id,
    });
    await notifier.close();
  });
});

describe('the conversation flow', () => {
  it('answers in the session, one message at a time', async () => {
    const orchestrator = await started({
      services: {
        agent_execution: {
          run: async (call: ServiceCall) => {
            const { message, messages } = call.input as { message: string; messages: unknown[] };
            await delay(10);
            return { content: `${message} (after ${messages.length})` };
          },
        },
      },
    });
    const acme = orchestrator.tenant('acme');
    const one = await acme.chat({ message: 'one' });
    const session_id = one.task.session_id as string;
    const two = await acme.chat({ message: 'two', session_id });
    expect((await acme.tasks.wait(two.task.task_id)).result).toEqual({ content: 'two (after 2)' });
    const messages = await acme.sessions.messages(session_id);
    expect(messages.map(({ role, content }) => `${role}: ${content}`)).toEqual([
      'user: one',
      'user: two',
      'assistant: one (after 0)',
      'assistant: two (after 2)',
    ]);
  });
});
