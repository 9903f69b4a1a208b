// A competitor in a process of its own: prepares an order, runs it, reports its cost.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { Session } from 'node:inspector/promises';
import { loadPeer } from '../peers.js';
import type { Competitor, Order, Prepared, Target } from './competitor.js';
import { Ours } from './ours.js';

export type Side = 'ours' | 'bullmq';

export interface Introduction {
  readonly side: Side;
  readonly target: Target;
}

export type Request =
  | { readonly ask: 'prepare'; readonly order: Order }
  /** `profile`: file for a CPU profile. */
  | { readonly ask: 'run'; readonly profile?: string }
  | { readonly ask: 'close' };

export interface Run {
  readonly wallMs: number;
  /** All threads of the process, garbage collection included. */
  readonly cpuUs: number;
  readonly latencies: readonly number[];
}

export type Response = { readonly run?: Run } | { readonly error: string };

async function competitorOf({ side, target }: Introduction): Promise<Competitor> {
  if (side === 'ours') return new Ours(target);
  if (typeof target !== 'string') throw new Error('BullMQ is measured on a single server');
  const { BullMq } = await loadPeer();
  return new BullMq(target);
}

async function profiled<T>(file: string, act: () => Promise<T>): Promise<T> {
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.setSamplingInterval', { interval: 200 });
  await session.post('Profiler.start');
  const outcome = await act();
  const { profile } = await session.post('Profiler.stop');
  session.disconnect();
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, JSON.stringify(profile));
  return outcome;
}

async function measured(prepared: Prepared): Promise<Run> {
  globalThis.gc?.();
  const cpu = process.cpuUsage();
  const began = performance.now();
  const latencies = await prepared.run();
  const wallMs = performance.now() - began;
  const { user, system } = process.cpuUsage(cpu);
  return { wallMs, cpuUs: user + system, latencies };
}

const introduction = JSON.parse(process.argv[2] ?? '') as Introduction;
const competitor = competitorOf(introduction);
let prepared: Prepared | undefined;

async function answer(request: Request): Promise<Response> {
  if (request.ask === 'prepare') {
    prepared = await (await competitor).prepare(request.order);
    return {};
  }
  if (!prepared) throw new Error(`expected an order before "${request.ask}", got none`);
  if (request.ask === 'close') {
    await prepared.close();
    prepared = undefined;
    return {};
  }
  const { profile } = request;
  const ready = prepared;
  const run = profile === undefined ? await measured(ready) : await profiled(profile, () => measured(ready));
  return { run };
}

process.on('message', (request) => {
  void answer(request as Request)
    .catch((error: unknown): Response => ({
      error: error instanceof Error ? (error.stack ?? '') : String(error),
    }))
    .then((response) => process.send?.(response));
});
