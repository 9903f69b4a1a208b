import type { JsonValue, Task, TaskEvent } from '@agent-orchestrator/core';
import type { EventRecord } from '@agent-orchestrator/core/storage';
import { describe, expect, it } from 'vitest';
import { answerRecord, printAnswer } from '../src/print/answer.js';
import { eventLine } from '../src/print/event-line.js';
import { EventPrinter } from '../src/print/event-printer.js';
import { ProgressBar } from '../src/print/progress-bar.js';
import { table } from '../src/print/table.js';
import { durationText } from '../src/print/duration.js';
import { printTask } from '../src/print/task-report.js';
import { localClock } from '../src/print/local-time.js';
import { inOneLine, printable, shownJson } from '../src/terminal/terminal.js';
import { fakeTerminal } from './fake-terminal.js';

const CLOCK = localClock('2026-01-31T10:00:00.123Z', true);
const ESCAPE = '\u001B';

function event(name: TaskEvent['event'], data: JsonValue): TaskEvent {
  const made: EventRecord = {
    event: name,
    service: 'query',
    task_id: '0b5c0000-0000-4000-8000-000000000000',
    tenant_id: 'dev',
    session_id: 's',
    timestamp: '2026-01-31T10:00:00.123Z',
    data,
    metadata: {},
    cursor: 'e:1',
  };
  return made as TaskEvent;
}

const answered = {
  task_id: '0b5c0000-0000-4000-8000-000000000000',
  session_id: 's',
  status: 'completed',
  result: { content: 'Blue. [1]', sources: [{ title: 'a.md', quote: 'The  widget\nis blue.' }] },
} as unknown as Task;

describe('a progress bar', () => {
  it('prints one line per item without a terminal', () => {
    const { terminal, stderr, stdout } = fakeTerminal();
    const bar = new ProgressBar(terminal, 2);
    bar.step('a.md');
    bar.step('b.md', 'too large');
    bar.end();
    expect(stderr()).toBe('  1/2 a.md\n  2/2 refused b.md: too large\n');
    expect(stdout()).toBe('');
  });

  it('is redrawn in one line of a terminal, below the lines of refused items', () => {
    const { terminal, stderr } = fakeTerminal({ tty: true, env: { NO_COLOR: '1' } });
    const bar = new ProgressBar(terminal, 2);
    bar.step('a.md');
    bar.step('b.md', 'too large');
    bar.end();
    const [first, refused, last, rest] = stderr().split(`\r${ESCAPE}[K`);
    expect(first).toBe('');
    expect(refused).toMatch(/^ {2}█{14}░{14} 1\/2 a\.md$/);
    expect(last).toBe('  refused b.md: too large\n');
    expect(rest).toMatch(/^ {2}█{28} 2\/2 b\.md\n$/);
  });

  it('stays in one line, however long a name is', () => {
    const { terminal, stderr } = fakeTerminal({ tty: true, columns: 50 });
    new ProgressBar(terminal, 1).step('n'.repeat(200));
    expect(stderr().replace(`\r${ESCAPE}[K`, '').length).toBeLessThan(50);
  });

  it('prints nothing with --json, and no line feeds of its own', () => {
    const { terminal, stderr } = fakeTerminal({ tty: true });
    terminal.json = true;
    const bar = new ProgressBar(terminal, 1);
    bar.step('a.md', 'no');
    bar.end();
    expect(stderr()).toBe('');
  });
});

describe('colours of the CLI output', () => {
  it.each([
    ['on a terminal', { tty: true }, true],
    ['with NO_COLOR', { tty: true, env: { NO_COLOR: '1' } }, false],
    ['with an empty NO_COLOR, which counts as none', { tty: true, env: { NO_COLOR: '' } }, true],
    ['elsewhere', { tty: false }, false],
  ])('%s', (_, options, coloured) => {
    const { terminal } = fakeTerminal(options);
    expect(terminal.paint('red', 'x').includes(ESCAPE)).toBe(coloured);
    expect(terminal.dim('x').includes(ESCAPE)).toBe(coloured);
  });
});

describe('printed foreign text', () => {
  it('has no control characters', () => {
    expect(printable(`a${ESCAPE}[31mb\rc\u0007\u009B2Jd\n\te`)).toBe('a[31mbc2Jd\n\te');
  });

  it('has no control characters in errors, answers and events', () => {
    const { terminal, stdout, stderr } = fakeTerminal();
    terminal.error(`x${ESCAPE}[2J`);
    const content = `a${ESCAPE}[2J`;
    printAnswer({ ...answered, result: { content, sources: [] } }, terminal, { isThere: false });
    new EventPrinter(terminal).print(event('task_failed', { code: 'service_error', message: content }));
    expect(stdout() + stderr()).not.toContain(ESCAPE);
  });
});

describe('a printed answer', () => {
  it('lists its sources, one per line', () => {
    const { terminal, stdout } = fakeTerminal();
    printAnswer(answered, terminal, { isThere: false });
    expect(stdout()).toBe('Blue. [1]\n\nSources\n [1] a.md\n     The widget is blue.\n');
  });

  it('is not repeated after it was streamed, but its sources are printed', () => {
    const { terminal, stdout } = fakeTerminal();
    printAnswer(answered, terminal, { isThere: true });
    expect(stdout()).toBe('\nSources\n [1] a.md\n     The widget is blue.\n');
  });

  it('is the JSON of a result that is not text', () => {
    const { terminal, stdout } = fakeTerminal();
    printAnswer({ ...answered, result: [1] }, terminal, { isThere: false });
    expect(JSON.parse(stdout())).toEqual([1]);
  });

  it('is one JSON value with --json', () => {
    expect(answerRecord(answered)).toMatchObject({
      status: 'completed',
      message: { role: 'assistant', content: 'Blue. [1]' },
      result: { content: 'Blue. [1]' },
    });
  });
});

describe('printed events', () => {
  it.each<[TaskEvent['event'], JsonValue, string]>([
    ['task_created', { type: 'query', priority: 4 }, 'created: query, priority 4'],
    ['task_started', { attempt: 2 }, 'started, attempt 2'],
    [
      'task_status_update',
      { status: 'indexing', details: { percent: 40, message: 'of 3' } },
      'indexing: 40 %, of 3',
    ],
    ['task_status_update', { status: 'searching' }, 'searching'],
    ['task_status_update', { status: 's', details: { passages: 3 } }, 's: passages 3'],
    ['task_completed', {}, 'completed'],
    ['task_failed', { code: 'timeout', message: 'too late' }, 'failed: timeout: too late'],
    ['session_updated', { status: 'active', messages: 1 }, 'session s: active, messages: 1'],
  ])('%s is one line', (name, data, line) => {
    const { terminal } = fakeTerminal();
    expect(eventLine(event(name, data), terminal, terminal.stderr)).toBe(`${CLOCK} 0b5c0000 query ${line}`);
  });

  it('join the text that a model streams', () => {
    const { terminal, stderr } = fakeTerminal();
    const printer = new EventPrinter(terminal);
    for (const delta of ['The ', 'widget']) {
      printer.print(event('task_status_update', { status: 'writing', details: { delta } }));
    }
    printer.print(event('task_completed', {}));
    expect(printer.written).toBe('The widget');
    expect(stderr()).toBe(`The widget\n  ${CLOCK} 0b5c0000 query completed\n`);
  });
});

it('printed tables have columns as wide as their widest cell', () => {
  const { terminal } = fakeTerminal();
  expect(table(['a', 'bb', 'c'], [['long', 'x', '']], terminal)).toEqual(['a     bb  c', 'long  x']);
});

describe('foreign text in a table', () => {
  const BAD = ['\u0007', '\u001b', '\u009b', '\u202e', '\u2066', '\u200f', '\u2028'];

  it('has no control characters', () => {
    for (const bad of BAD) {
      expect(printable(`a${bad}b`)).toBe('ab');
      expect(inOneLine(`a${bad}b\r\nc`)).toMatch(/^a ?b c$/);
      expect(shownJson({ text: `a${bad}b` })).toMatch(/^[\x20-\x7e]+$/);
      expect(JSON.parse(shownJson({ text: `a${bad}b` }))).toEqual({ text: `a${bad}b` });
    }
  });

  it('stays in its row', () => {
    const { terminal } = fakeTerminal();
    const rows = [
      ['t-1', 'first\nt-2  forged'],
      ['t-3', '\u202eno'],
    ];
    expect(table(['task', 'why'], rows, terminal)).toEqual([
      'task  why',
      't-1   first t-2  forged',
      't-3   no',
    ]);
  });
});

describe('a task', () => {
  const task: Task = {
    task_id: '0b5c0000-0000-4000-8000-000000000000',
    tenant_id: 'dev',
    session_id: 'talk',
    created_at: '2026-01-31T10:00:00.000Z',
    updated_at: '2026-01-31T10:00:02.950Z',
    finished_at: '2026-01-31T10:00:02.950Z',
    status: 'failed',
    type: 'report',
    priority: 4,
    attempt: 2,
    max_attempts: 5,
    rev: 4,
    metadata: { user_id: 'ana' },
    delegated_services: [{ service: 'query', operation: 'query', call_id: 'c1', status: 'failed' }],
    payload: { text: `${ESCAPE}[31m${'x'.repeat(3_000)}` },
    error: { code: 'service_error', message: `no ${ESCAPE}[31manswer`, retryable: false },
    usage: { tokens: 34, model: 'tiny' },
  };

  it('is printed with its times, ids, error and calls; a long payload is cut', () => {
    const { terminal, stdout } = fakeTerminal();
    printTask(terminal, task);
    const lines = stdout().split('\n');
    expect(lines[0]).toBe(`task ${task.task_id}: report, priority 4, attempt 2 of 5`);
    expect(lines[1]).toMatch(/^failed, created .*, ended .*, after 2\.9 s$/);
    expect(lines.slice(2, 5)).toEqual([
      'session talk, user ana',
      'error: service_error: no [31manswer',
      'usage: 34 tokens, tiny',
    ]);
    expect(stdout()).toMatch(/\nquery\.query +failed +c1\n/);
    expect(stdout()).toMatch(/… \d+ characters more: --json has them\n$/);
    expect(stdout()).not.toContain(ESCAPE);
  });

  it.each([
    [-5, '0 ms'],
    [999, '999 ms'],
    [2_950, '2.9 s'],
    [59_999, '59.9 s'],
    [245_000, '4 min 5 s'],
    [12_000_000, '3 h 20 min'],
  ])('lasts %d ms: %s', (ms, text) => {
    expect(durationText(ms)).toBe(text);
  });
});
