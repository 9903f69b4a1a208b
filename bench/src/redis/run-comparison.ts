import type { Order } from './competitor.js';
import type { Side } from './measured-process.js';
import type { Cores } from './pinning.js';
import type { Comparison } from './row.js';
import { type Measured, TestRig } from './test-rig.js';

/** One round: what each stage has cost ours and BullMQ. */
export type Round = Readonly<Record<Side, readonly Measured[]>>;

export interface Settings {
  readonly rounds: number;
  readonly cores: Cores;
  /** Where profiles of the CPU of our process go. */
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
 * Both in turn, on servers and in processes of their own that are fresh for this comparison, `rounds` times after one to warm
 * up: with less than that, what is measured is V8 that compiles. The speed of a shared machine drifts from minute to
 * minute, so only what ran in the same round is compared.
 */
export async function runComparison(
  comparison: Comparison,
  { rounds, cores, profiles }: Settings,
): Promise<Round[]> {
  const kind = comparison.server ?? {};
  await using ours = await TestRig.open('ours', kind, cores);
  // BullMQ knows no tenants, so nothing of it is spread over a Cluster.
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
