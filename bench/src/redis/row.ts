import type { Order } from './competitor.js';
import type { Measured, ServerKind } from './test-rig.js';

/** A figure of ours beside that of BullMQ, and what it has to be. */
export interface Row {
  readonly name: string;
  /** Which of the stages it is of. */
  readonly stage: number;
  readonly figure: (measured: Measured) => number;
  /** What is good: a ratio of at least so much or at most so much. A `count` is not compared with BullMQ's. */
  readonly wanted: 'at least' | 'at most' | 'at most, as a count';
  /** A rate, which is disturbed by other load: the bound by CPU time is reported beside it. */
  readonly isRate?: boolean;
  /** Absent: for information. */
  readonly must?: number;
  readonly aim?: number;
}

/** Orders that are carried out one after the other on an empty server, and what of them is of interest. */
export interface Comparison {
  readonly name: string;
  readonly server?: ServerKind;
  readonly stages: readonly Order[];
  readonly rows: readonly Row[];
}

type Goal = Pick<Row, 'must' | 'aim'>;

export function rate(name: string, stage: number, goal: Goal = {}): Row {
  return { name, stage, figure: ({ perSecond }) => perSecond, wanted: 'at least', isRate: true, ...goal };
}

export function redisCpu(name: string, stage: number, goal: Goal = {}): Row {
  return { name, stage, figure: ({ redisUs }) => redisUs, wanted: 'at most', ...goal };
}

export function commands(name: string, stage: number, goal: Goal = {}): Row {
  return { name, stage, figure: (measured) => measured.commands, wanted: 'at most, as a count', ...goal };
}

export function memory(name: string, stage: number, goal: Goal = {}): Row {
  return { name, stage, figure: ({ bytes }) => bytes, wanted: 'at most', ...goal };
}

export function p50(name: string, stage: number, goal: Goal = {}): Row {
  return { name, stage, figure: ({ p50Ms }) => p50Ms, wanted: 'at most', ...goal };
}

export function p99(name: string, stage: number, goal: Goal = {}): Row {
  return { name, stage, figure: ({ p99Ms }) => p99Ms, wanted: 'at most', ...goal };
}
