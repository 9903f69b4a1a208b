import { median, table } from '../measure.js';
import { drain } from './drain-rows.js';
import { findCores, pin } from './pinning.js';
import { TestRig } from './test-rig.js';

const FEW_WAITING = 25_000;
const DRAINED = 20_000;
const FEW_TENANTS = 100;
const MANY_TENANTS = 10_000;

interface Case {
  readonly name: string;
  readonly few: { readonly waiting: number; readonly tenants: number };
  readonly many: { readonly waiting: number; readonly tenants: number };
  readonly must: number;
  readonly aim: number;
}

/** Drain rate of one worker as each dimension grows: ours beside ours. */
export async function growth(options: {
  readonly rounds: number;
  /** The large number of tasks. */
  readonly waiting: number;
}): Promise<unknown> {
  const { rounds, waiting } = options;
  const usual = { waiting: FEW_WAITING, tenants: FEW_TENANTS };
  const cases: readonly Case[] = [
    {
      name: `${waiting} waiting vs ${FEW_WAITING}, ${FEW_TENANTS} tenants`,
      few: usual,
      many: { ...usual, waiting },
      must: 0.8,
      aim: 0.95,
    },
    {
      name: `${MANY_TENANTS} tenants vs ${FEW_TENANTS}, ${FEW_WAITING} waiting`,
      few: usual,
      many: { ...usual, tenants: MANY_TENANTS },
      must: 0.5,
      aim: 0.65,
    },
  ];
  const cores = await findCores();
  await pin(process.pid, cores.node);
  console.log(`The first ${DRAINED} tasks are drained, ${rounds} rounds; ${cores.explanation}\n`);
  const order = drain(DRAINED, 100);
  const drained = async (rig: TestRig, { waiting: tasks, tenants }: Case['few']) => {
    await rig.empty();
    await rig.carryOut({ work: 'fill', tasks, tenants });
    return (await rig.carryOut(order)).perSecond;
  };
  const results = [];
  for (const { name, few, many, must, aim } of cases) {
    await using rig = await TestRig.open('ours', {}, cores);
    await drained(rig, usual);
    const ratios: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const before = await drained(rig, few);
      ratios.push((await drained(rig, many)) / before);
    }
    const ratio = median(ratios);
    const reached = ratio >= aim ? 'aim' : ratio >= must ? 'must' : 'no';
    results.push({ name, ratio, ratios, must, aim, reached });
  }
  const rows = results.map(({ name, ratio, ratios, must, aim, reached }) => [
    name,
    ratio.toFixed(2),
    ratios.map((each) => each.toFixed(2)).join(' '),
    String(must),
    String(aim),
    reached,
  ]);
  console.log(table([['drain rate of ours', 'ratio', 'rounds', 'must', 'aim', 'reached'], ...rows]));
  return { rounds, waiting, drained: DRAINED, cores, results };
}
