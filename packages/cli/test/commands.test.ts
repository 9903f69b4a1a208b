import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  cli,
  firstRecord,
  type Folder,
  folder,
  records,
  type RunningServer,
  startServer,
} from './cli-process.js';

const PLAN = fileURLToPath(new URL('../../../examples/plans/ingest-and-ask.json', import.meta.url));
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const QUESTION = 'What colour does the widget have?';

let place: Folder;
let dev: RunningServer;

/** In the folder of `dev`, without URL or API key: both are found. */
const run = (...args: string[]) => cli(args, { cwd: place.path });

beforeAll(async () => {
  place = await folder();
  await writeFile(join(place.path, 'widget.md'), '# Widget\n\nThe widget has the colour blue.\n');
  dev = await startServer(['dev'], { cwd: place.path });
  expect(await run('ingest', 'widget.md')).toEqual({
    code: 0,
    stdout: '',
    stderr: '  1/1 widget.md\ndocuments ingested: 1 (1 passages)\n',
  });
});
afterAll(async () => {
  await dev[Symbol.asyncDispose]();
  await place[Symbol.asyncDispose]();
});

describe('orchestrator-cli ingest', () => {
  it.concurrent('with --json prints one line per document with its outcome', async () => {
    const { code, stdout, stderr } = await run('ingest', '--json', 'widget.md', 'nope.md');
    expect([code, stderr]).toEqual([1, '']);
    expect(records(stdout)).toEqual([
      {
        name: 'nope.md',
        status: 'failed',
        error: { code: 'invalid_request', message: expect.any(String) as string },
      },
      { name: 'widget.md', status: 'completed', document_id: expect.any(String) as string, chunks: 1 },
    ]);
  });

  it.concurrent('keeps collections apart', async () => {
    expect(await run('ingest', 'widget.md', '--collection', 'other')).toMatchObject({ code: 0 });
    const input = JSON.stringify({ question: QUESTION, collection: 'none' });
    const { stdout } = await run('run', 'query', '--json', '--input', input);
    expect(records(stdout)[0]).toMatchObject({ status: 'completed', result: { sources: [] } });
  });
});

describe('orchestrator-cli chat', () => {
  it.concurrent('prints the answer with its sources on stdout, and events on stderr', async () => {
    const { code, stdout, stderr } = await run('chat', ...QUESTION.split(' '));
    expect(code).toBe(0);
    expect(stdout).toContain('colour blue');
    expect(stdout).toMatch(/Sources\n \[1\] widget\.md/);
    expect(stderr).toMatch(/created: agent_execution/);
    expect(stderr).toMatch(/session [0-9a-f-]{36}: continue with/);
  });

  it.concurrent('with --json prints one value and no messages', async () => {
    const { code, stdout, stderr } = await run('--json', 'chat', QUESTION);
    expect([code, stderr]).toEqual([0, '']);
    const [answer, ...more] = records(stdout);
    expect(more).toEqual([]);
    expect(answer).toMatchObject({ status: 'completed', message: { role: 'assistant' } });
  });

  it.concurrent('with --quiet prints no events', async () => {
    const { stderr } = await run('chat', '-q', QUESTION);
    expect(stderr).not.toContain('created');
  });

  it('continues a session, by name or the newest one', async () => {
    const session = async (...args: string[]) => {
      const { stdout } = await run('chat', '--json', ...args);
      return records(stdout)[0]?.['session_id'];
    };
    const first = await session(QUESTION);
    expect(await session('-c', 'and its size?')).toBe(first);
    expect(await session('another thing')).not.toBe(first);
    expect(await session('--session', String(first), 'again')).toBe(first);
    const { stdout } = await run('sessions', 'show', String(first), '--json');
    expect(records(stdout)[0]).toMatchObject({ session: { session_id: first } });
    expect((firstRecord(stdout) as { messages: unknown[] }).messages).toHaveLength(6);
  });

  it.concurrent('reads each line of its input as a question of one conversation', async () => {
    const input = `${QUESTION}\n\n/unknown\nand again?\n/history\n/quit\nnot asked\n`;
    const { code, stdout, stderr } = await cli(['chat', '--json'], { cwd: place.path, input });
    expect([code, stderr]).toEqual([0, '']);
    const lines = records(stdout);
    const [one, two, ...history] = lines;
    expect(two?.['session_id']).toBe(one?.['session_id']);
    expect(history.map(({ role }) => role)).toEqual(['user', 'assistant', 'user', 'assistant']);
  });

  it.concurrent('prints neither prompt nor greeting without a terminal', async () => {
    const { code, stdout, stderr } = await cli(['chat', '-q'], { cwd: place.path, input: QUESTION });
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain('colour blue');
  });
});

describe('orchestrator-cli run', () => {
  it.concurrent('runs a plan from a file, with the input of --input', async () => {
    const { code, stdout, stderr } = await run('run', PLAN);
    expect(code).toBe(0);
    expect(stdout).toContain('first Monday of each month');
    expect(stderr).toMatch(/created: workflow/);
    const input = {
      name: 'tea.md',
      content: 'The kettle is green.',
      question: 'Which colour has the kettle?',
    };
    await writeFile(join(place.path, 'input.json'), JSON.stringify(input));
    const other = await run('run', PLAN, '--input-file', 'input.json', '--json');
    expect(records(other.stdout)[0]).toMatchObject({
      status: 'completed',
      result: { document: { chunks: 1 } },
    });
  });

  it.concurrent('runs a task type, and a workflow of the Workflow Engine', async () => {
    const input = JSON.stringify({ question: QUESTION });
    expect((await run('run', 'query', '-i', input)).stdout).toContain('colour blue');
    const documents = {
      workflow: 'ingestion',
      input: { documents: [{ name: 'x.md', content: 'Some words.' }] },
    };
    expect(await run('run', 'workflow', '-i', JSON.stringify(documents))).toMatchObject({ code: 0 });
    // It is no type of task: the Workflow Engine knows it, and says what its input has to be.
    const { code, stdout } = await run('run', 'tool_workflow', '--json', '-i', '{}');
    expect(code).toBe(1);
    expect(records(stdout)[0]).toMatchObject({ status: 'failed', error: { code: 'invalid_request' } });
  });

  it.concurrent('with --no-wait leaves the task running and prints its id on stdout', async () => {
    const { code, stdout } = await run('run', 'query', '--no-wait', '-i', JSON.stringify({ question: 'x' }));
    expect(code).toBe(0);
    expect(stdout.trim()).toMatch(UUID);
    const { stdout: json } = await run('run', 'query', '--no-wait', '--json', '-i', '{"question":"x"}');
    expect(records(json)).toEqual([{ task_id: expect.stringMatching(UUID) as string }]);
  });
});

describe('orchestrator-cli tasks and sessions', () => {
  it('list prints a table, or one JSON line each, page by page', async () => {
    const { stdout, stderr } = await run(
      'tasks',
      'list',
      '-n',
      '1',
      '--status',
      'completed',
      '--type',
      'ingestion',
    );
    const [head, row, ...more] = stdout.trim().split('\n');
    expect(head).toMatch(/^task +status +type +created$/);
    expect(row).toMatch(/ completed +ingestion +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/);
    expect(more).toEqual([]);
    const [, cursor = ''] = /^more: --cursor (\S+)$/m.exec(stderr) ?? [];
    const next = await run('tasks', 'list', '--json', '--type', 'ingestion', '--cursor', cursor);
    const types = records(next.stdout).map(({ type }) => type);
    expect(types.length).toBeGreaterThan(0);
    expect(new Set(types)).toEqual(new Set(['ingestion']));
  });

  it.concurrent('show, cancel and tail work on a task that has ended', async () => {
    const { stdout } = await run('run', 'query', '--json', '-i', JSON.stringify({ question: QUESTION }));
    const id = String(records(stdout)[0]?.['task_id']);
    const shown = await run('tasks', 'show', id);
    expect(shown.stdout).toMatch(
      new RegExp(`^task ${id}: query, priority 4, attempt 1 of 5\ncompleted, created .* after `),
    );
    expect(shown.stdout).toMatch(/\nquery\.query +completed/);
    expect(records((await run('tasks', 'show', id, '--json')).stdout)).toMatchObject([
      { task_id: id, status: 'completed' },
    ]);
    const refused = await run('tasks', 'cancel', id);
    expect([refused.code, refused.stdout]).toEqual([1, '']);
    expect(refused.stderr).toContain(`task ${id} has already ended: its status is completed`);
    expect((await run('tasks', 'tail', id)).stdout).toBe(`task ${id}: query, completed\n`);
    expect(records((await run('tasks', 'tail', id, '--json')).stdout)).toMatchObject([
      { event: 'subscribed', snapshot: { task: { task_id: id } } },
    ]);
  });

  it('sessions list and show print sessions', async () => {
    await run('chat', '-q', QUESTION);
    const list = await run('sessions', 'list', '-n', '1', '--status', 'active');
    const [, row = ''] = list.stdout.trim().split('\n');
    const [id = ''] = row.split(' ');
    expect(records((await run('sessions', 'list', '--json', '-n', '1')).stdout)).toMatchObject([
      { session_id: id },
    ]);
    const { code, stdout } = await run('sessions', 'show', id);
    expect(code).toBe(0);
    expect(stdout).toContain(QUESTION);
    expect(stdout).toContain('assistant');
  });
});

it('orchestrator-cli prints its version, and its commands when called without one', async () => {
  expect((await run('--version')).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  expect(await run()).toMatchObject({
    code: 2,
    stdout: '',
    stderr: expect.stringMatching(/^Usage/) as string,
  });
});
