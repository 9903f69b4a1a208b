import { SeededRandom } from '../../packages/core/test/chaos/seeded-random.js';

/** One notification of a service about a call. */
export type Notice =
  | { readonly kind: 'progress'; readonly status: string }
  | { readonly kind: 'completed'; readonly result: string }
  | { readonly kind: 'failed'; readonly error: string; readonly retryable: boolean };

export const TRY_KINDS = [
  'answers at once',
  'completes',
  'fails',
  'fails, retryable',
  'contradicts itself',
  'is silent',
] as const;
type TryKind = (typeof TRY_KINDS)[number];

/** The service's behaviour for one try of a task's call. */
export interface TryPlan {
  readonly kind: TryKind;
  /** The notifications reach the hub before the 202 is answered. */
  readonly early: boolean;
  /** The reference by which the hub finds the call; always the same for a call. */
  readonly named: 'by job' | 'by call' | 'by task';
  readonly notices: readonly Notice[];
  /** The client cancels before this notification, if set. */
  readonly cancelBefore: number | undefined;
  /** Sent about this try after the next one has begun. */
  readonly lateNotice: Notice | undefined;
}

const SHARES: readonly (readonly [TryKind, number])[] = [
  ['answers at once', 8],
  ['completes', 45],
  ['fails', 10],
  ['fails, retryable', 20],
  ['contradicts itself', 12],
  ['is silent', 5],
];
const CANCELLED_PERCENT = 8;
const EARLY_PERCENT = 20;

/** The same seed, task and try give the same plan. */
export function planTry(seed: string, task: number, attempt: number): TryPlan {
  const random = new SeededRandom(`${seed}/task-${task}/try-${attempt}`);
  const kind = drawKind(random);
  const notices = noticesOf(kind, `${task}.${attempt}`, random);
  return {
    kind,
    notices,
    early: notices.length > 0 && random.random(EARLY_PERCENT),
    named: random.pick(['by job', 'by job', 'by call', 'by task']),
    cancelBefore: random.random(CANCELLED_PERCENT) ? random.between(0, notices.length) : undefined,
    lateNotice: random.random(50)
      ? random.pick<Notice>([
          { kind: 'progress', status: 'still here' },
          { kind: 'completed', result: `result ${task}.${attempt} too late` },
        ])
      : undefined,
  };
}

function drawKind(random: SeededRandom): TryKind {
  let left = random.below(100);
  for (const [kind, share] of SHARES) {
    if (left < share) return kind;
    left -= share;
  }
  return 'completes';
}

function noticesOf(kind: TryKind, name: string, random: SeededRandom): Notice[] {
  if (kind === 'answers at once') return [];
  const notices: Notice[] = Array.from({ length: random.below(3) }, (_, n) => ({
    kind: 'progress',
    status: `step ${n}`,
  }));
  const completed = (version: string): Notice => ({ kind: 'completed', result: `result ${name} ${version}` });
  const failed = (retryable: boolean): Notice => ({ kind: 'failed', error: `failure ${name}`, retryable });
  if (kind === 'completes') notices.push(completed('a'));
  if (kind === 'fails') notices.push(failed(false));
  if (kind === 'fails, retryable') notices.push(failed(true));
  if (kind === 'contradicts itself') {
    const both = random.random(50) ? [completed('a'), completed('b')] : [failed(false), completed('c')];
    notices.push(...(random.random(50) ? both : both.toReversed()));
  }
  if (kind !== 'is silent' && random.random(20)) notices.push({ kind: 'progress', status: 'one more' });
  return notices;
}
