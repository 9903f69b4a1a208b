import type { Failpoint } from './failpoints.js';

export type Often = 'never' | 'sometimes' | 'always';

/** What comes of a death at a failpoint. */
export interface Stated {
  readonly outcome: string;
  /** Whether a call is resent, with its key, because its outcome is unknown. */
  readonly sentAgain: Often;
  /** Whether own work of a workflow runs again because its completion is unknown. */
  readonly ranAgain: Often;
}

type Row = readonly [operation: string, before: Partial<Stated>, after: Partial<Stated>];

const NEVER = { sentAgain: 'never', ranAgain: 'never' } as const;
/** Happens all the time, also while a call is under way: that one is sent again. */
const meanwhile = (outcome: string): Partial<Stated> => ({ outcome, sentAgain: 'sometimes' });
const says = (outcome: string): Partial<Stated> => ({ outcome });

/** A caller's request that is repeated: the first one has had no effect, or is found. */
const request = (operation: string, found: string): Row => [
  operation,
  says('the caller asks again, and is the first'),
  says(`the caller asks again: ${found}`),
];
const reading = (operation: string): Row => [
  operation,
  meanwhile('the caller asks again'),
  meanwhile('the caller asks again'),
];
const quietReading = (operation: string): Row => [
  operation,
  says('the caller asks again'),
  says('the caller asks again'),
];
/** A settlement without effect, or with a lost answer. */
const settling = (kind: string, after: string): Row => [
  `queue.settle/${kind}`,
  says('another worker replays the journal and ends it in the same way'),
  says(after),
];
const beginning = (kind: string): Row => [
  `journal.begin/${kind}`,
  says('another worker begins the step'),
  says('another worker goes on with the step that is stored'),
];

const REQUESTS: readonly Row[] = [
  request('tasks.submit', 'its key finds the task'),
  request('tasks.submitBatch', 'its key finds the batch'),
  request('tasks.register', 'the task_id finds the task'),
  request('tasks.finish', 'the task has ended, and stays so'),
  request('tasks.cancelBatch', 'the batch is cancelled already'),
  request('tasks.redrive', 'a look at the list finds the new task'),
  request('tasks.discard', 'the task is not found'),
  request('sessions.create', 'the session is there, as it was made'),
  request('sessions.append', 'the message_id finds the message'),
  request('sessions.update', 'a look at the session finds the change'),
  request('sessions.close', 'the session is closed already'),
  request('tasks.cancel', 'the task is being cancelled already'),
  [
    'tasks.signal',
    { outcome: 'the caller asks again, and is the first', sentAgain: 'always' },
    {
      outcome: 'the caller asks again: the key finds the signal, the workflow hears one',
      sentAgain: 'always',
    },
  ],
  [
    'tasks.progress',
    says('another worker tells it, or the caller asks again'),
    says('another worker tells it once more, or the caller asks again'),
  ],
  reading('tasks.get'),
  quietReading('tasks.list'),
  quietReading('tasks.getBatch'),
  quietReading('sessions.get'),
  quietReading('sessions.messages'),
  quietReading('events.followCompletions'),
];

const WORK: readonly Row[] = [
  ['storage.ping', says('its successor starts'), says('its successor starts')],
  ['workers.announce', meanwhile('its successor announces itself'), meanwhile('it is listed for a while')],
  ['workers.leave', says('it is listed for a while'), says('no task needs it')],
  [
    'queue.claim',
    meanwhile('another worker claims the task'),
    meanwhile('no claimed task has started: another worker runs them after the lease'),
  ],
  [
    'queue.renew',
    { outcome: 'the lease ends, and another worker goes on', sentAgain: 'always' },
    { outcome: 'the longer lease ends, and another worker goes on', sentAgain: 'always' },
  ],
  [
    'queue.sweep',
    meanwhile('another sweeper does what is due'),
    meanwhile('what was due is done, what comes is done by another sweeper'),
  ],
  settling('completed', 'the task has its result'),
  settling('failed', 'the task has its error'),
  settling('cancelled', 'the task is cancelled'),
  settling('retry', 'the next attempt is due when it was to be'),
  settling('parked', 'the task waits for its outcomes'),
  settling('released', 'another worker claims it at once'),
];

const STEPS: readonly Row[] = [
  beginning('call'),
  beginning('sleep'),
  beginning('signal'),
  [
    'service.send',
    says('another worker sends the call for the first time'),
    meanwhile('another worker sends the call again, with its key, unless the service has reported'),
  ],
  [
    'journal.record/outcome',
    { outcome: 'another worker sends the call again, with its key', sentAgain: 'always' },
    says('the outcome is in the journal: the call is not sent again'),
  ],
  [
    'journal.record/accepted',
    meanwhile('another worker sends the call again: the service knows its key, and names the same job'),
    says('the job is in the journal: the call is not sent again'),
  ],
  ['effect.run', says('another worker runs it for the first time'), again('another worker runs it again')],
  [
    'journal.record/own_work',
    again('another worker runs it again'),
    says('its result is in the journal: it is not run again'),
  ],
  [
    'journal.changesSince',
    meanwhile('another worker gets the change with its claim'),
    meanwhile('another worker gets the change with its claim'),
  ],
  [
    'journal.report/outcome',
    meanwhile('the service reports again, and is the first'),
    meanwhile('the service reports again: a duplicate'),
  ],
  [
    'journal.report/status',
    says('the service reports again, and is the first'),
    says('the service reports again: a duplicate'),
  ],
  [
    'journal.heldReport',
    meanwhile('the service reports again, and waits once more'),
    meanwhile('the service reports again, and waits once more'),
  ],
];

function again(outcome: string): Partial<Stated> {
  return { outcome, ranAgain: 'sometimes' };
}

/** Every place where a process can die, and what is to come of it. */
export const FAILPOINTS: ReadonlyMap<Failpoint, Stated> = new Map(
  [...REQUESTS, ...WORK, ...STEPS].flatMap(([operation, before, after]): [Failpoint, Stated][] => [
    [`${operation}:before`, { outcome: '', ...NEVER, ...before }],
    [`${operation}:after`, { outcome: '', ...NEVER, ...after }],
  ]),
);
