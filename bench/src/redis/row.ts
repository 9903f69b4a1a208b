import type { Order } from './competitor.js';
import type { Measured, ServerKind } from './test-rig.js';

/** A measurement beside that of BullMQ, with its target. */
export interface Row {
  readonly name: string;
  /** Index of its stage. */
  readonly stage: number;
  readonly figure: (measured: Measured) => number;
  /** Target: a ratio of at least or at most this. A `count` is not compared with BullMQ's. */
  readonly wanted: 'at least' | 'at most' | 'at most, as a count';
  /** A rate, which other load disturbs: the bound by CPU time is reported beside it. */
  readonly isRate?: boolean;
  /** Absent: informational. */
  readonly must?: number;
  readonly aim?: number;
}

/** Orders that run sequentially on an empty server, and the rows taken from them. */
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
