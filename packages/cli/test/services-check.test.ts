import { MAX_RESULT_BYTES } from '@agent-orchestrator/core';
import PQueue from 'p-queue';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Finding } from '../src/services/check.js';
import { CheckHub } from '../src/services/check-hub.js';
import type { CheckLimits } from '../src/services/check-limits.js';
import { runChecks } from '../src/services/run-checks.js';
import { Subject } from '../src/services/subject.js';
import { FlawedService, type Flaws, problem } from './flawed-service.js';

const TOKEN = 'token-of-the-service';
const LIMITS: CheckLimits = {
  reachMs: 50,
  answerMs: 2_000,
  silenceMs: 2_000,
  jobMs: 8_000,
  connectMs: 2_000,
  pongMs: 3_000,
  againMs: 2_000,
  downMs: 300,
  watchMs: 200,
};

interface Asked {
  readonly operation?: string;
  readonly name?: string;
  readonly limits?: Partial<CheckLimits>;
}

/** What the checks find, by name. */
async function findings(flaws: Flaws, { operation = 'work', name, limits }: Asked = {}) {
  const input = { n: 1 };
  const hub = await CheckHub.start({ port: 0, host: '127.0.0.1', token: TOKEN, name, operation, input });
  const found = new Map<string, Finding>();
  try {
    await using service = await FlawedService.start({ hubUrl: hub.front.url, token: TOKEN, flaws });
    const subject = new Subject(
      {
        url: service.url,
        operation,
        input,
        badInput: { n: 'one' },
        token: TOKEN,
        limits: { ...LIMITS, ...limits },
        signal: new AbortController().signal,
      },
      hub,
    );
    for await (const { check, finding } of runChecks(subject)) found.set(check.name, finding);
  } finally {
    await hub.stop();
  }
  return found;
}

function named(found: ReadonlyMap<string, Finding>, verdict: Finding['verdict']) {
  return [...found].flatMap(([name, finding]) => (finding.verdict === verdict ? [name] : []));
}

/** Only for what is usually a good answer. */
const instead =
  (answer: ReturnType<NonNullable<Flaws['answer']>>): Flaws['answer'] =>
  (usual) =>
    usual.status < 300 ? answer : usual;

type Mistake = readonly [what: string, caughtBy: string, flaws: Flaws, got: RegExp, asked?: Asked];

const ANSWERS: readonly Mistake[] = [
  [
    'answers too late',
    'answers-in-time',
    { answer: instead({ status: 200, body: {}, afterMs: 600 }) },
    /no answer within/,
    { limits: { answerMs: 300 } },
  ],
  [
    'redirects',
    'no-redirect',
    { answer: instead({ status: 307, body: '', headers: { location: '/v2' } }) },
    /307 to \/v2/,
  ],
  [
    'compresses',
    'not-compressed',
    { answer: instead({ status: 200, body: 'x', headers: { 'content-encoding': 'gzip' } }) },
    /gzip/,
  ],
  [
    'answers with too much',
    'answer-size',
    { answer: instead({ status: 200, body: { result: 'x'.repeat(MAX_RESULT_BYTES) } }) },
    /more/,
  ],
  [
    'answers without a result',
    'answer',
    { answer: instead({ status: 200, body: { answer: 1 } }) },
    /"result": nothing in 200 \{"answer":1\}/,
  ],
  [
    'answers with half a body',
    'answer',
    { answer: instead({ status: 200, body: '{"result": ' }) },
    /Unexpected end/,
  ],
  [
    'names its job by a number',
    'answer',
    { answer: instead({ status: 202, body: { job_id: 7 } }) },
    /"job_id": 7/,
  ],
  [
    'names its job by nothing',
    'answer',
    { answer: instead({ status: 202, body: { job_id: '' } }) },
    /"job_id": ""/,
  ],
  ['answers 201', 'answer', { answer: instead({ status: 201, body: { result: 1 } }) }, /^201/],
];

const REFUSALS: readonly Mistake[] = [
  [
    'fails at an unknown operation',
    'unknown-operation',
    { answer: (usual, { operation }) => (operation === 'work' ? usual : problem(500)) },
    /^500/,
  ],
  [
    'refuses an unknown operation without a code',
    'unknown-operation',
    { answer: (usual, { operation }) => (operation === 'work' ? usual : problem(404)) },
    /^404/,
  ],
  [
    'fails at what is no JSON',
    'not-json',
    { answer: (usual, { call }) => (call ? usual : problem(500)) },
    /^500/,
  ],
  [
    'takes any token',
    'wrong-token',
    {
      answer: (usual, { token }) =>
        usual.status === 401 && token !== undefined ? { status: 200, body: { result: 1 } } : usual,
    },
    /^200/,
  ],
  [
    'needs no token',
    'no-token',
    { answer: (usual, { token }) => (token === undefined ? { status: 200, body: { result: 1 } } : usual) },
    /^200/,
  ],
  [
    'fails at a bad input',
    'bad-input',
    { answer: (usual, { text }) => (text.includes('"one"') ? problem(503) : usual) },
    /^503/,
  ],
];

const CALLS: readonly Mistake[] = [
  [
    'forgets a call that is done',
    'same-call-again',
    { knows: (_, { ended }) => !ended },
    /another one, "job-/,
  ],
  ['works again for a call that it knows', 'same-call-again', { worksAgain: true }, /working/],
  [
    'does not know a call that it is just taking on',
    'same-call-at-once',
    { acceptMs: 30, knows: (_, { answered }) => answered },
    /another one/,
  ],
  [
    'refuses fields that it does not know',
    'extra-fields',
    {
      answer: (usual, { text }) => (/not_known_yet":\{/.test(text) ? problem(400, 'invalid_request') : usual),
    },
    /^400/,
  ],
  [
    'takes only small calls',
    'large-call',
    { answer: (usual, { text }) => (text.length > 100_000 ? problem(413, 'payload_too_large') : usual) },
    /^413/,
  ],
  [
    'has no place for a session',
    'with-session',
    {
      answer: (usual, { call }) =>
        call?.['session_id'] === undefined ? usual : problem(422, 'invalid_request'),
    },
    /^422/,
  ],
  [
    'reports everything to one tenant',
    'two-tenants',
    { send: (frame) => [{ ...frame, tenant_id: 'check-a', call_id: undefined }] },
    /tenant/,
  ],
  ['names all jobs alike', 'many-at-once', { jobId: () => 'job' }, /"job" for two/],
];

const NOTIFICATIONS: readonly Mistake[] = [
  [
    'says another name',
    'connects',
    { hello: (hello) => ({ ...hello, service_name: 'other' }) },
    /belongs to another service/,
    { name: 'flawed' },
  ],
  [
    'shows another token',
    'connects',
    { hello: (hello) => ({ ...hello, service_token: 'another-token' }) },
    /token is not known/,
  ],
  ['dials another path', 'connects', { path: '/ws' }, /asked for at \/ws/],
  ['never reports', 'reports', { send: () => [] }, /none/],
  [
    'sends an event that there is not',
    'valid-notifications',
    { send: (frame) => [{ ...frame, event: 'done' }] },
    /"event": "done"/,
  ],
  [
    'sends progress without a status',
    'valid-notifications',
    { send: (frame) => [{ ...frame, data: frame['event'] === 'task_completed' ? 1 : {} }] },
    /"data.status": nothing/,
  ],
  ['sends what is no JSON', 'valid-notifications', { send: () => ['done'] }, /in done/],
  [
    'sends binary frames',
    'valid-notifications',
    { send: (frame) => [Buffer.from(JSON.stringify(frame))] },
    /binary/,
  ],
  [
    'names no call',
    'names-its-call',
    { send: (frame) => [{ ...frame, task_id: 'x', call_id: undefined }] },
    /"task_id":"x"/,
  ],
  [
    'names another service',
    'names-its-call',
    { send: (frame) => [{ ...frame, service: 'other' }] },
    /"other"/,
    { name: 'flawed' },
  ],
  [
    'never ends a job',
    'outcome',
    { send: (frame) => (frame['event'] === 'task_completed' ? [] : [frame]) },
    /then silence/,
  ],
  [
    'fails at a good input',
    'outcome',
    {
      send: (frame) =>
        frame['event'] === 'task_completed'
          ? [{ ...frame, event: 'task_failed', data: { error: 'no' } }]
          : [frame],
    },
    /task_failed/,
  ],
  [
    'has one message_id for everything',
    'message-ids',
    { send: (frame) => [{ ...frame, message_id: 'm' }] },
    /"m" for two/,
  ],
  [
    'tells the outcome twice',
    'one-outcome',
    { afterOutcome: (frame) => [{ ...frame, message_id: crypto.randomUUID() }] },
    /task_completed/,
  ],
  [
    'tells of progress after the outcome',
    'progress-first',
    {
      afterOutcome: (frame) => [
        {
          ...frame,
          event: 'task_status_update',
          data: { status: 'tidying up' },
          message_id: crypto.randomUUID(),
        },
      ],
    },
    /tidying up/,
  ],
];

const LINKS: readonly Mistake[] = [
  ['answers no ping', 'pong', { pongs: false }, /none/],
  ['does not come back', 'comes-back', { reconnectMs: undefined }, /none/],
  ['does not wait before it comes back', 'backs-off', { reconnectMs: 0 }, /tries in 300 ms/],
  ['forgets what had no ack', 'sends-again', { again: () => [] }, /nothing/],
  [
    'sends again as something new',
    'sends-again',
    { again: (unacked) => unacked.map((frame) => ({ ...frame, message_id: crypto.randomUUID() })) },
    /with message_id/,
  ],
  ['does not send again what was put off', 'retry-later', { retryMs: () => undefined }, /nothing/],
  ['does not wait with what was put off', 'retry-later', { retryMs: () => 0 }, /it again after/],
  [
    'hangs up when a task is cancelled',
    'cancel',
    { onCancel: 'hangs_up', stepMs: 60 },
    /closed after the task_cancel/,
  ],
];

const mistakes = [...ANSWERS, ...REFUSALS, ...CALLS, ...NOTIFICATIONS, ...LINKS];
// They mostly wait, so that many can be looked at at once.
const queue = new PQueue({ concurrency: 16 });
const running = new Map<Mistake, Promise<ReadonlyMap<string, Finding>>>();
beforeAll(() => {
  for (const mistake of mistakes) {
    const [, , flaws, , asked] = mistake;
    running.set(
      mistake,
      queue.add(() => findings(flaws, asked)),
    );
  }
});

describe('services check', () => {
  it.concurrent('finds nothing in a service that reports by socket', async () => {
    const found = await findings({ stepMs: 60 }, { name: 'flawed' });
    expect([...found].filter(([, { verdict }]) => verdict !== 'ok')).toEqual([]);
  });

  it.concurrent('finds nothing in a service that answers at once', async () => {
    const found = await findings({ reconnectMs: 50 }, { operation: 'quick' });
    expect(named(found, 'failed')).toEqual([]);
    expect(found.get('outcome')?.verdict).toBe('skipped');
    expect(found.get('whole-task')?.verdict).toBe('ok');
  });

  it.concurrent('finds nothing in a service that reports over HTTP', async () => {
    const found = await findings({ reportsOver: 'http' });
    expect(named(found, 'failed')).toEqual([]);
    expect(named(found, 'skipped')).toEqual(['cancel', 'pong', 'comes-back']);
    expect(found.get('connects')).toEqual({ verdict: 'ok', note: 'over HTTP' });
  });

  it.concurrent('warns of notifications without a message_id, and does not ask for them again', async () => {
    const found = await findings({ send: (frame) => [{ ...frame, message_id: undefined }] });
    expect(named(found, 'failed')).toEqual([]);
    expect(named(found, 'warning')).toEqual(['message-ids']);
    expect(found.get('sends-again')?.verdict).toBe('skipped');
  });

  it.concurrent('warns of work that goes on in vain', async () => {
    const found = await findings({ onCancel: 'goes_on', stepMs: 150 });
    expect(named(found, 'failed')).toEqual([]);
    expect(named(found, 'warning')).toEqual(['cancel']);
  });

  it.concurrent('says nothing about a service that is not there', async () => {
    const hub = await CheckHub.start({
      port: 0,
      host: '127.0.0.1',
      token: TOKEN,
      operation: 'work',
      input: {},
    });
    const { signal } = new AbortController();
    const options = {
      url: 'http://127.0.0.1:1',
      operation: 'work',
      input: {},
      token: TOKEN,
      limits: LIMITS,
      signal,
    };
    const found: Finding['verdict'][] = [];
    for await (const { finding } of runChecks(new Subject(options, hub))) found.push(finding.verdict);
    await hub.stop();
    expect([found[0], ...new Set(found.slice(1))]).toEqual(['failed', 'skipped']);
  });
});

describe('one mistake, and the check that finds it', () => {
  it.each(mistakes.map((mistake) => ({ what: mistake[0], mistake })))(
    'a service that $what',
    async ({ mistake }) => {
      const [, caughtBy, , got] = mistake;
      const found = (await running.get(mistake))!;
      expect(named(found, 'failed')).toEqual([caughtBy]);
      const finding = found.get(caughtBy);
      expect(finding?.verdict === 'failed' && finding.got).toMatch(got);
    },
  );
});
