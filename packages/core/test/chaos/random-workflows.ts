import type { Behaviour } from './outside-services.js';
import type { SeededRandom } from './seeded-random.js';

/** Calls that come to an answer in the end, each in a way of its own. */
type Calling =
  | 'quick'
  | 'turned_away'
  | 'flaky'
  | 'job'
  | 'early_job'
  | 'repeated_job'
  | 'silent_job'
  | 'failing_job';

/** `step` is the place of a node, unlike any other's. */
interface Placed<K extends string> {
  readonly kind: K;
  readonly step: string;
}
export interface CallNode extends Placed<Calling> {
  readonly named: boolean;
  readonly ask: Behaviour;
}
export interface CaughtNode extends Placed<'caught'> {
  readonly ask: Behaviour;
}
interface GroupNode extends Placed<'sequence' | 'all' | 'settled'> {
  readonly of: readonly Node[];
}
export interface RaceNode extends Placed<'race_won_by_call' | 'race_won_by_sleep'> {
  readonly ask: Behaviour;
  readonly sleepMs: number;
}
interface SleepNode extends Placed<'sleep'> {
  readonly ms: number;
}
export interface SignalNode extends Placed<'signal_early' | 'signal_late' | 'signal_never'> {
  readonly name: string;
  /** When it is sent, after the submission; when it is given up, for one that is never sent. */
  readonly afterMs: number;
}
interface ForeignNode extends Placed<'foreign'> {
  readonly turns: number;
}
/** Fails the attempt: by itself, or by a step of its own. */
interface ThrowingNode extends Placed<'throwing' | 'failing_run'> {
  readonly attempts: number;
}
/** `first`, and `next` in a `finally`, in a `catch` that throws again, or in the place of a call that failed for good. */
interface GuardNode extends Placed<'finally' | 'compensated' | 'fallback'> {
  readonly first: Node;
  readonly next: Node;
}
/** `broken`: fails the task for good, until it is redriven. */
type SimpleNode = Placed<'effect' | 'time' | 'random' | 'progress' | 'message' | 'broken'>;

/** One node of a program: a tree that `interpret` runs as a workflow. */
export type Node =
  | CallNode
  | CaughtNode
  | GroupNode
  | RaceNode
  | SleepNode
  | SignalNode
  | ForeignNode
  | ThrowingNode
  | GuardNode
  | SimpleNode;
export type Kind = Node['kind'];

/** Every kind of node. */
export const KINDS: readonly Kind[] = [
  'quick',
  'turned_away',
  'flaky',
  'job',
  'early_job',
  'repeated_job',
  'silent_job',
  'failing_job',
  'caught',
  'sequence',
  'all',
  'settled',
  'finally',
  'compensated',
  'fallback',
  'failing_run',
  'broken',
  'race_won_by_call',
  'race_won_by_sleep',
  'sleep',
  'signal_early',
  'signal_late',
  'signal_never',
  'foreign',
  'throwing',
  'effect',
  'time',
  'random',
  'progress',
  'message',
];

const HOUR_MS = 3_600_000;
/** Longer than any delay that a drop can cause, so that the winner of a race is the same with and without drops. */
const WIDE_MS = 2 * HOUR_MS;

/**
 * Constraints of a position: random numbers are drawn in order, and time is read, only where no other branch
 * can interleave.
 */
interface Place {
  readonly depth: number;
  /** Whether an attempt may fail. */
  readonly failing: boolean;
  readonly alone: boolean;
  readonly foreign: boolean;
}

type Maker = (step: string, random: SeededRandom) => Node;

const calling =
  (kind: Calling, ask: (random: SeededRandom) => Omit<Behaviour, 'step'>): Maker =>
  (step, random) => ({ kind, step, named: random.random(50), ask: { step, ...ask(random) } });

const names = (random: SeededRandom) => {
  const named = random.pick(['call', 'task', undefined] as const);
  return named === undefined ? {} : { names: named };
};
const soon = (random: SeededRandom) => random.between(100, 120_000);

const CALLS: readonly Maker[] = [
  calling('quick', (random) => (random.random(50) ? {} : { takesMs: random.between(1, 3_000) })),
  calling('turned_away', (random) => ({ refusals: random.between(1, 3) })),
  calling('job', (random) => ({
    job: { afterMs: soon(random), progress: random.random(30), ...names(random) },
  })),
  calling('early_job', (random) => ({ job: { afterMs: 0, early: true, ...names(random) } })),
  calling('repeated_job', (random) => ({
    job: { afterMs: soon(random), copies: random.between(2, 4), ...names(random) },
  })),
  calling('silent_job', (random) => ({ job: { afterMs: soon(random), silentTries: 1, ...names(random) } })),
  calling('failing_job', (random) => ({
    job: { afterMs: soon(random), ...names(random) },
    failures: random.between(1, 2),
  })),
];

const signalling =
  (kind: SignalNode['kind'], afterMs: (random: SeededRandom) => number): Maker =>
  (step, random) => ({ kind, step, name: `signal_${step.replaceAll('.', '_')}`, afterMs: afterMs(random) });

const LEAVES: readonly Maker[] = [
  (step, random) => {
    const job = random.random(50) ? { job: { afterMs: soon(random), ...names(random) } } : {};
    return { kind: 'caught', step, ask: { step, error: `no ${step}`, ...job } };
  },
  (step, random) => {
    const ask = {
      step,
      ...(random.random(50) && { job: { afterMs: random.between(100, 30_000), names: 'call' as const } }),
    };
    return { kind: 'race_won_by_call', step, ask, sleepMs: WIDE_MS };
  },
  (step, random) => {
    const ask = { step, job: { afterMs: WIDE_MS } };
    return { kind: 'race_won_by_sleep', step, ask, sleepMs: random.between(100, 30_000) };
  },
  (step, random) => ({ kind: 'sleep', step, ms: random.between(1, 300_000) }),
  signalling('signal_early', () => 0),
  signalling('signal_late', (random) => random.between(1_000, 600_000)),
  signalling('signal_never', (random) => random.between(1_000, 60_000)),
  (step) => ({ kind: 'effect', step }),
];

/** Whatever fails an attempt: what was recorded before and after it has to be there in the next one. */
const FAILING: readonly Maker[] = [
  calling('flaky', (random) => ({ failures: random.between(1, 2), takesMs: random.below(2) * 700 })),
  (step, random) => ({ kind: 'throwing', step, attempts: random.between(1, 2) }),
  (step, random) => ({ kind: 'failing_run', step, attempts: random.between(1, 3) }),
  (step, random) => guarded('finally', step, random),
  (step, random) => guarded('compensated', step, random),
  (step, random) => {
    const job = random.random(50) ? { job: { afterMs: soon(random) } } : {};
    const first: Node = {
      kind: 'caught',
      step: `${step}.first`,
      ask: { step: `${step}.first`, error: 'no', ...job },
    };
    return { kind: 'fallback', step, first, next: random.pick(CALLS)(`${step}.then`, random) };
  },
];

/** Steps that end well, then one that fails the attempt; and a step after that failure. */
function guarded(kind: 'finally' | 'compensated', step: string, random: SeededRandom): GuardNode {
  const of = [
    random.pick(CALLS)(`${step}.0`, random),
    { kind: 'failing_run', step: `${step}.1`, attempts: random.between(1, 2) } as const,
  ];
  const cleanUp: Maker = random.random(50) ? (at) => ({ kind: 'effect', step: at }) : random.pick(CALLS);
  const first: Node = { kind: 'sequence', step: `${step}.first`, of };
  return { kind, step, first, next: cleanUp(`${step}.then`, random) };
}

const FOREIGN: readonly Maker[] = [
  (step, random) => ({ kind: 'foreign', step, turns: random.between(1, 5) }),
  (step) => ({ kind: 'progress', step }),
];
const TIMES: readonly Maker[] = [(step) => ({ kind: 'time', step })];
const ALONE: readonly Maker[] = [(step) => ({ kind: 'random', step }), (step) => ({ kind: 'message', step })];

function branch(random: SeededRandom, step: string, place: Place): Node {
  const deeper = { ...place, depth: place.depth + 1 };
  if (place.depth < 3 && random.random(30)) {
    const all = random.random(60);
    // What a foreign await lets in between is another thing each time, and so is the time after it.
    const inside = all && place.alone ? { ...deeper, alone: false, foreign: random.random(50) } : deeper;
    const of = Array.from({ length: random.between(2, 4) }, (_, n) => branch(random, `${step}.${n}`, inside));
    const kind = all ? (random.random(40) ? 'settled' : 'all') : 'sequence';
    return { kind, step, of };
  }
  const makers = [...CALLS, ...LEAVES];
  if (place.failing) makers.push(...FAILING);
  if (place.foreign || place.alone) makers.push(...FOREIGN);
  if (!place.foreign || place.alone) makers.push(...TIMES);
  if (place.alone) makers.push(...ALONE);
  return random.pick(makers)(step, random);
}

/** A program: what the payload of one task is. One that is to be redriven fails for good at its end. */
export function randomProgram(random: SeededRandom, redriven = false): Node {
  const place = { depth: 0, alone: true, foreign: true, failing: redriven || random.random(60) };
  const of = Array.from({ length: random.between(2, 5) }, (_, n) => branch(random, `s${n}`, place));
  if (redriven) of.push({ kind: 'broken', step: 'broken' });
  return { kind: 'sequence', step: 's', of };
}

function* nodesOf(node: Node): Generator<Node> {
  yield node;
  if ('of' in node) for (const inner of node.of) yield* nodesOf(inner);
  if ('first' in node) yield* nodesOf(node.first);
  if ('first' in node) yield* nodesOf(node.next);
}

/** The signals that a program is to be sent, and how long after its submission. */
export function signalsOf(program: Node): { readonly name: string; readonly afterMs: number }[] {
  const signals: { readonly name: string; readonly afterMs: number }[] = [];
  for (const node of nodesOf(program)) {
    if (node.kind === 'signal_early' || node.kind === 'signal_late')
      signals.push({ name: node.name, afterMs: node.afterMs });
  }
  return signals;
}
