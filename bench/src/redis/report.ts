import { median, table } from '../measure.js';
import type { Order } from './competitor.js';
import type { Round } from './run-comparison.js';
import type { Comparison, Row } from './row.js';
import type { Measured } from './test-rig.js';

/** A row with its results: medians over the rounds. */
export interface Outcome {
  readonly row: string;
  readonly value: number;
  readonly spread: readonly [number, number];
  /** For rates: the ratio of the CPU times of the busier of Redis and Node. */
  readonly byCpu?: number | undefined;
  readonly ours: number;
  readonly bullmq: number;
  readonly must?: number | undefined;
  readonly aim?: number | undefined;
  readonly reached: 'aim' | 'must' | 'no' | 'for information';
  /** Prefetch of the worker; absent without one. */
  readonly ahead?: number | undefined;
}

function isReached(row: Row, value: number, goal: number | undefined): boolean {
  if (goal === undefined) return false;
  return row.wanted === 'at least' ? value >= goal : value <= goal;
}

function byCpu({ stage }: Row, rounds: readonly Round[]): number {
  const busier = (measured: Measured | undefined) =>
    measured ? Math.max(measured.redisUs, measured.nodeUs) : Number.NaN;
  return median(rounds.map(({ ours, bullmq }) => busier(bullmq[stage]) / busier(ours[stage])));
}

export function outcomeOf(comparison: Comparison, row: Row, rounds: readonly Round[]): Outcome {
  const stats = (side: keyof Round) =>
    rounds.map((round) => {
      const measured = round[side][row.stage];
      return measured ? row.figure(measured) : Number.NaN;
    });
  const ours = stats('ours');
  const bullmq = stats('bullmq');
  const isCount = row.wanted === 'at most, as a count';
  const values = ours
    .map((figure, round) => (isCount ? figure : figure / (bullmq[round] ?? Number.NaN)))
    .toSorted((a, b) => a - b);
  const value = median(values);
  const order = comparison.stages[row.stage];
  const { must, aim } = row;
  const reached = isReached(row, value, aim) ? 'aim' : isReached(row, value, must) ? 'must' : 'no';
  return {
    row: row.name,
    value,
    spread: [values[0] ?? Number.NaN, values.at(-1) ?? Number.NaN],
    byCpu: row.isRate === true ? byCpu(row, rounds) : undefined,
    ours: median(ours),
    bullmq: median(bullmq),
    must,
    aim,
    reached: must === undefined ? 'for information' : reached,
    ahead: order?.work === 'drain' ? order.ahead : undefined,
  };
}

function figure(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return '';
  return Math.abs(value) >= 1_000 ? value.toFixed(0) : value.toFixed(Math.abs(value) >= 100 ? 1 : 2);
}

const HEAD = [
  'row',
  'ratio',
  'spread',
  'by CPU',
  'must',
  'aim',
  'reached',
  'ours',
  'BullMQ',
  'claimed ahead',
];

/** Ratios to BullMQ of the same round, with the absolute values. */
export function tableOf(outcomes: readonly Outcome[]): string {
  const rows = outcomes.map(({ row, value, spread, byCpu, must, aim, reached, ours, bullmq, ahead }) => [
    row,
    figure(value),
    spread.map(figure).join(' to '),
    figure(byCpu),
    figure(must),
    figure(aim),
    reached,
    figure(ours),
    figure(bullmq),
    ahead === undefined ? '' : String(ahead),
  ]);
  return table([HEAD, ...rows]);
}

const SIDE_NOTES: readonly (readonly [string, (measured: Measured) => number])[] = [
  ['tasks/s', ({ perSecond }) => perSecond],
  ['Redis µs', ({ redisUs }) => redisUs],
  ['Node µs', ({ nodeUs }) => nodeUs],
  ['commands', ({ commands }) => commands],
  ['tasks a script', ({ scripts }) => 1 / scripts],
  ['µs a script', ({ scriptUs }) => scriptUs],
  ['bytes', ({ bytes }) => bytes],
  ['% others', ({ others }) => others * 100],
];

function nameOf(order: Order): string {
  const inFlight = order.work === 'submit' ? `, ${order.inFlight} in flight` : '';
  return `${order.work} ${order.tasks}${inFlight}`;
}

/** Cost per task of each stage on both sides: absolute numbers, which differ between machines and runs. */
export function sideNotesOf(comparisons: readonly (readonly [Comparison, readonly Round[]])[]): string {
  const head = ['stage', 'side', ...SIDE_NOTES.map(([name]) => name)];
  const rows = comparisons.flatMap(([comparison, rounds]) =>
    comparison.stages.flatMap((order, stage) =>
      (['ours', 'bullmq'] as const).map((side) => [
        `${comparison.name}: ${nameOf(order)}`,
        side === 'ours' ? 'ours' : 'BullMQ',
        ...SIDE_NOTES.map(([, of]) =>
          figure(median(rounds.flatMap((round) => round[side].slice(stage, stage + 1)).map(of))),
        ),
      ]),
    ),
  );
  return table([head, ...rows]);
}
