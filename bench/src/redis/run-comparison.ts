import type { Order } from './competitor.js';
import type { Side } from './measured-process.js';
import type { Cores } from './pinning.js';
import type { Comparison } from './row.js';
import { type Measured, TestRig } from './test-rig.js';

/** One round: the cost of each stage for ours and for BullMQ. */
export type Round = Readonly<Record<Side, readonly Measured[]>>;

export interface Settings {
  readonly rounds: number;
  readonly cores: Cores;
  /** Folder for CPU profiles of our process. */
  readonly profiles?: string | undefined;
}

async function playAll(
  rig: TestRig,
  stages: readonly Order[],
  profileOf: (stage: number) => string | undefined = () => undefined,
): Promise<Measured[]> {
  await rig.empty();
  const measured: Measured[] = [];
  for (const [stage, order] of stages.entries()) measured.push(await rig.carryOut(order, profileOf(stage)));
  return measured;
}

/**
 * Runs both alternately, on fresh servers and in fresh processes, `rounds` times after a warm-up: with less,
 * the compilation by V8 is measured. The speed of a shared machine drifts from minute to minute, so only runs
 * of the same round are compared.
 */
export async function runComparison(
  comparison: Comparison,
  { rounds, cores, profiles }: Settings,
): Promise<Round[]> {
  const kind = comparison.server ?? {};
  await using ours = await TestRig.open('ours', kind, cores);
  // BullMQ has no tenants, so a Cluster spreads nothing of it.
  await using bullmq = await TestRig.open('bullmq', { ...kind, cluster: false }, cores);
  await playAll(bullmq, comparison.stages);
  await playAll(ours, comparison.stages);
  const profileOf = (stage: number) =>
    profiles === undefined ? undefined : `${profiles}/${comparison.name}-${stage}.cpuprofile`;
  const played: Round[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const peer = await playAll(bullmq, comparison.stages);
    played.push({ bullmq: peer, ours: await playAll(ours, comparison.stages, profileOf) });
  }
  return played;
}
