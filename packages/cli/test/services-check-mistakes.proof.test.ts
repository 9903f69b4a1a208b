import { MAX_RESULT_BYTES } from '@agent-orchestrator/core/protocol';
import PQueue from 'p-queue';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Finding } from '../src/services/check.js';
import { type Flaws, problem } from './flawed-service.js';
import { type Asked, findings, type FlawsIn, named } from './service-findings.js';

/** Within which a service is back that then does not send what it should. */
const BACK_MS = 8_000;

/** Only for what is usually a good answer. */
const instead =
  (answer: ReturnType<NonNullable<Flaws['answer']>>): Flaws['answer'] =>
  (usual) =>
    usual.status < 300 ? answer : usual;

type Mistake = readonly [what: string, caughtBy: string, flaws: FlawsIn, got: RegExp, asked?: Asked];

const ANSWERS: readonly Mistake[] = [
  [
    'answers too late',
    'answers-in-time',
    { answer: instead({ status: 200, body: {}, afterMs: 6_000 }) },
    /no answer within/,
    { limits: { answerMs: 2_000 } },
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
    (isIn) => ({
      waitsForTwin: () => isIn('same-call-at-once'),
      knows: (_, { answered }) => answered,
    }),
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
    { limits: { silenceMs: 3_000 } },
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
  [
    'dials another path',
    'connects',
    { path: '/ws' },
    /asked for at \/ws/,
    { limits: { silenceMs: 2_000, connectMs: 2_000 } },
  ],
  ['never reports', 'reports', { send: () => [] }, /none/, { limits: { silenceMs: 500 } }],
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
    { limits: { silenceMs: 3_000 } },
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
    'reports the outcome twice',
    'one-outcome',
    { afterOutcome: (frame) => [{ ...frame, message_id: crypto.randomUUID() }] },
    /task_completed/,
  ],
  [
    'reports progress after the outcome',
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
  ['answers no ping', 'pong', { pongs: false }, /none/, { limits: { pongMs: 500 } }],
  [
    'does not come back',
    'comes-back',
    { reconnectMs: undefined },
    /none/,
    { limits: { connectMs: 500, silenceMs: 3_000 } },
  ],
  [
    'does not wait before it comes back',
    'backs-off',
    { knocks: 60 },
    /tries in 3000 ms/,
    { limits: { downMs: 3_000 } },
  ],
  [
    'forgets what had no ack',
    'sends-again',
    { again: () => [] },
    /nothing/,
    { limits: { connectMs: BACK_MS } },
  ],
  [
    'sends again as something new',
    'sends-again',
    { again: (unacked) => unacked.map((frame) => ({ ...frame, message_id: crypto.randomUUID() })) },
    /with message_id/,
    { limits: { connectMs: BACK_MS } },
  ],
  [
    'does not send again what was put off',
    'retry-later',
    { retryMs: () => undefined },
    /nothing/,
    { limits: { againMs: 500 } },
  ],
  ['does not wait with what was put off', 'retry-later', { retryMs: () => 0 }, /it again after/],
  ['hangs up when a task is cancelled', 'cancel', { onCancel: 'hangs_up' }, /closed after the task_cancel/],
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

describe('services check finds the mistake', () => {
  it.each(mistakes.map((mistake) => ({ what: mistake[0], mistake })))(
    'of a service that $what',
    async ({ mistake }) => {
      const [, caughtBy, , got] = mistake;
      const found = (await running.get(mistake))!;
      expect(named(found, 'failed')).toEqual([caughtBy]);
      const finding = found.get(caughtBy);
      expect(finding?.verdict === 'failed' && finding.got).toMatch(got);
    },
  );
});
