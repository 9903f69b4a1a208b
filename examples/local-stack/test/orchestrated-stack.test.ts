import { Orchestrator } from '@agent-orchestrator/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { addLocalStack } from '../src/index.js';
import type { Answer } from './direct-gateway.js';

const orchestrator = new Orchestrator();
const stack = addLocalStack(orchestrator, { embedding: 'hashed' });
const acme = orchestrator.tenant('acme');

beforeAll(() => orchestrator.start());
afterAll(async () => {
  await stack.stop();
  await stack.stop();
  await orchestrator.stop();
});

async function run(submission: Parameters<typeof acme.tasks.submit>[0], tenant = acme) {
  const { task_id } = await tenant.tasks.submit(submission);
  return tenant.tasks.wait(task_id, { timeoutMs: 20_000 });
}

async function chat(message: string, session_id: string, agent_id?: string): Promise<Answer> {
  const { status, result, error } = await run({
    type: 'agent_execution',
    session_id,
    payload: { message },
    ...(agent_id !== undefined && { agent_id }),
  });
  expect({ status, error }).toEqual({ status: 'completed', error: undefined });
  return result as unknown as Answer;
}

describe('the local stack in an orchestrator', () => {
  test('ingests a document through the workflow engine', async () => {
    const content =
      '# Lamp\n\n## Night mode\n\nNight mode dims the lamp at ten in the evening.\n\nTo turn night mode off, press the moon key twice.';
    const input = { documents: [{ name: 'lamp.md', content }] };
    const { status, result } = await run({ type: 'workflow', payload: { workflow: 'ingestion', input } });
    expect({ status, result }).toMatchObject({
      status: 'completed',
      result: { documents: [{ name: 'lamp.md', chunks: 1 }] },
    });
  });

  test('answers, and continues the conversation', async () => {
    await acme.sessions.create({ session_id: 's-1' });
    const first = await chat('What does night mode do?', 's-1');
    expect(first.sources?.[0]?.quote).toContain('dims the lamp');
    const then = await chat('and how do I turn it off?', 's-1');
    expect(then.sources?.[0]?.quote).toContain('moon key twice');
  });

  test('uses tools, and continues with their results', async () => {
    await acme.sessions.create({ session_id: 's-2' });
    expect((await chat("what's 17% of 2,340?", 's-2')).content).toContain('= 397.8');
    expect((await chat('now double that', 's-2')).content).toContain('= 795.6');
  });

  test('runs the workflow of an agent through the workflow engine', async () => {
    await acme.sessions.create({ session_id: 's-3', agent_id: 'researcher' });
    const { content, steps } = await chat('twelve times (3+4)', 's-3', 'researcher');
    expect(content).toContain('= 84');
    expect(steps).toMatchObject([{ tool: 'calculator' }, { service: 'query' }]);
  });

  test('fails a task with the reason of the service', async () => {
    const { status, error } = await run({ type: 'ingestion', payload: { name: 'x.pdf', content: 'x' } });
    expect(status).toBe('failed');
    expect(error?.message).toContain('got "none"');
  });

  test('shows no data to another tenant', async () => {
    const { result } = await run(
      { type: 'query', payload: { question: 'What does night mode do?' } },
      orchestrator.tenant('other'),
    );
    expect(result).toMatchObject({ sources: [] });
  });
});
