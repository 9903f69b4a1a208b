import { SeededRandom } from '../../packages/core/test/chaos/seeded-random.js';

/** One notification that a service sends about a call. */
export type Word =
  | { readonly say: 'progress'; readonly status: string }
  | { readonly say: 'completed'; readonly result: string }
  | { readonly say: 'failed'; readonly error: string; readonly retryable: boolean };

export const TRY_KINDS = [
  'answers at once',
  'completes',
  'fails',
  'fails, retryable',
  'contradicts itself',
  'is silent',
] as const;
export type TryKind = (typeof TRY_KINDS)[number];

/** What the service does with one try of a task's call. */
export interface TryPlan {
  readonly kind: TryKind;
  /** The notifications reach the hub before the 202 is answered. */
  readonly early: boolean;
  /** By what the hub can find the call; always the same for a call. */
  readonly named: 'by job' | 'by call' | 'by task';
  readonly words: readonly Word[];
  /** The client cancels before this word, if there is one. */
  readonly cancelBefore: number | undefined;
  /** Once the next try has come, the service still says this about the one before. */
  readonly afterthought: Word | undefined;
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

/** The same seed, task and try give the same plan, whatever happened before. */
export function planTry(seed: string, task: number, attempt: number): TryPlan {
  const random = new SeededRandom(`${seed}/task-${task}/try-${attempt}`);
  const kind = drawKind(random);
  const words = wordsOf(kind, `${task}.${attempt}`, random);
  return {
    kind,
    words,
    early: words.length > 0 && random.random(EARLY_PERCENT),
    named: random.pick(['by job', 'by job', 'by call', 'by task']),
    cancelBefore: random.random(CANCELLED_PERCENT) ? random.between(0, words.length) : undefined,
    afterthought: random.random(50)
      ? random.pick<Word>([
          { say: 'progress', status: 'still here' },
          { say: 'completed', result: `result ${task}.${attempt} too late` },
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

function wordsOf(kind: TryKind, name: string, random: SeededRandom): Word[] {
  if (kind === 'answers at once') return [];
  const words: Word[] = Array.from({ length: random.below(3) }, (_, n) => ({
    say: 'progress',
    status: `step ${n}`,
  }));
  const completed = (version: string): Word => ({ say: 'completed', result: `result ${name} ${version}` });
  const failed = (retryable: boolean): Word => ({ say: 'failed', error: `failure ${name}`, retryable });
  if (kind === 'completes') words.push(completed('a'));
  if (kind === 'fails') words.push(failed(false));
  if (kind === 'fails, retryable') words.push(failed(true));
  if (kind === 'contradicts itself') {
    const both = random.random(50) ? [completed('a'), completed('b')] : [failed(false), completed('c')];
    words.push(...(random.random(50) ? both : both.toReversed()));
  }
  if (kind !== 'is silent' && random.random(20)) words.push({ say: 'progress', status: 'one more' });
  return words;
}
