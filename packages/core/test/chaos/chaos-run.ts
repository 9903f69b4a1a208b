import { createHash } from 'node:crypto';
import { OrchestratorError, type Storage, type TaskEvent, type TaskStatus } from '../../src/index.js';
import type { DiskFaults } from './crashing-folder.js';
import { type Failpoint, isOfDisk, isPoll } from './failpoints.js';
import { interpret } from './interpreter.js';
import { type Kind, type Node, randomProgram, signalsOf } from './random-workflows.js';
import { SeededRandom } from './seeded-random.js';
import type { SimulatedProcess } from './simulated-process.js';
import { TENANT, World } from './world.js';

const DAY_MS = 24 * 3_600_000;
/** Submissions come one after the other, so far apart on average. */
const APART_MS = 1_000;

/** One task of a run: the same in the disturbed run and in the one that it is compared with. */
export interface PlannedTask {
  readonly taskId: string;
  readonly sessionId: string;
  readonly program: Node;
  readonly atMs: number;
  /** Cancelled so long after its submission, in a disturbed run. */
  readonly cancelAfterMs?: number;
  /** It fails for good, and is redriven then. */
  readonly redrive: boolean;
}

export function planTasks(seed: string, count: number): PlannedTask[] {
  let atMs = 0;
  return Array.from({ length: count }, (_, n) => {
    const random = new SeededRandom(`${seed}/task-${n}`);
    atMs += random.below(2 * APART_MS);
    const redrive = random.random(15);
    return {
      taskId: random.uuid(),
      sessionId: `session-${n}`,
      program: randomProgram(random, redrive),
      redrive,
      atMs,
      ...(random.random(8) && { cancelAfterMs: random.below(600_000) }),
    };
  });
}

/** How a task came out. */
interface Ending {
  readonly status: TaskStatus | 'absent';
  /** Result or error, and what was said in the session, as JSON. */
  readonly what: string;
}

export interface Run {
  readonly world: World;
  readonly endings: ReadonlyMap<string, Ending>;
  /** How often a node of each kind came to its end, replays included. */
  readonly reached: ReadonlyMap<Kind, number>;
  /** How often each task's workflow function was begun. */
  readonly runs: ReadonlyMap<string, number>;
  /** How often the workflow's time was another one on replay. */
  readonly timesThatDiffer: number;
  /** Passes of failpoints that are no polls. */
  readonly work: number;
  /** Passes of failpoints of the disk among them. */
  readonly diskWork: number;
  readonly virtualMs: number;
  /** What a follower from outside was told, in order. */
  readonly heard: readonly TaskEvent[];
  /** Of every pass of a failpoint, every death and every end of a task, in their order. */
  readonly trace: string;
}

export interface RunOptions {
  readonly seed: string;
  readonly disturbed: boolean;
  readonly decide?: (point: Failpoint) => boolean;
  readonly tamper?: (storage: Storage) => Storage;
  /** In one process after the other, on a folder. */
  readonly folder?: DiskFaults;
}

/** Runs planned tasks in a world of three processes until each has come to its end. */
export async function run(planned: readonly PlannedTask[], options: RunOptions): Promise<Run> {
  const trace = createHash('sha256');
  const counters = {
    work: 0,
    diskWork: 0,
    timesDiffered: [] as string[],
    runs: new Map<string, number>(),
    reached: new Map<Kind, number>(),
    redriven: new Map<string, string>(),
    heard: [] as TaskEvent[],
    mended: new Set<string | undefined>(),
  };
  const random = new SeededRandom(`${options.seed}/restarts`);
  const world: World = new World({
    seed: options.seed,
    processes: options.folder ? 1 : 3,
    services: ['quick', 'slow'],
    // Fewer than there is to do, so that each process has its share.
    orchestrator: { concurrency: options.folder ? 60 : 20, sweepMs: 10_000 },
    // Random kills may hit the worker of one task many times; that alone must not make the task poison.
    limits: { maxLostWorkers: 1_000_000 },
    furnish: (process) => furnish(process, world, counters),
    ...(options.tamper && { tamper: options.tamper }),
    ...(options.folder && { folder: options.folder }),
    restartMs: () => random.below(5_000),
    decide: (point, name) => {
      const dies = options.decide?.(point) ?? false;
      if (!isPoll(point)) counters.work += 1;
      if (isOfDisk(point)) counters.diskWork += 1;
      trace.update(`${name} ${point} ${dies} ${world.clock.now()}\n`);
      return dies;
    },
  });
  const begun = world.clock.now();
  const note = (end: string) => trace.update(`${end} ${world.clock.now()}\n`);
  const last = planned.at(-1)?.atMs ?? 0;
  const { redriven, mended, heard } = counters;
  await world.run(() => story(world, planned, { ...options, note, heard, redriven, mended }), last + DAY_MS);
  const virtualMs = world.clock.now() - begun;
  const endings = new Map<string, Ending>();
  for (const task of planned) {
    const taskId = redriven.get(task.taskId) ?? task.taskId;
    endings.set(task.taskId, await endingOf(world, { ...task, taskId }));
  }
  // A new attempt is no replay: what it tries again ends at another time.
  const newAttempts = new Set([...world.retried, ...redriven.values()]);
  const timesThatDiffer = counters.timesDiffered.filter((taskId) => !newAttempts.has(taskId)).length;
  return { world, endings, virtualMs, timesThatDiffer, ...counters, trace: trace.digest('hex') };
}

function furnish(
  process: SimulatedProcess,
  world: World,
  counters: {
    readonly timesDiffered: string[];
    readonly runs: Map<string, number>;
    readonly reached: Map<Kind, number>;
    /** Sessions whose task no longer has what it failed of. */
    readonly mended: ReadonlySet<string | undefined>;
  },
): void {
  const { reached, runs, mended } = counters;
  const outside = {
    reached: (kind: Kind) => reached.set(kind, (reached.get(kind) ?? 0) + 1),
    effect: (taskId: string, stepKey: string) => world.effect(process, taskId, stepKey),
    timeDiffered: (taskId: string) => counters.timesDiffered.push(taskId),
    isMended: (sessionId: string | undefined) => mended.has(sessionId),
  };
  process.orchestrator.workflow<Node, unknown>('program', (ctx, program) => {
    runs.set(ctx.taskId, (runs.get(ctx.taskId) ?? 0) + 1);
    return interpret(ctx, program, outside);
  });
}

interface StoryOptions {
  readonly disturbed: boolean;
  readonly note: (end: string) => void;
  readonly heard: TaskEvent[];
  /** By the id of a planned task: the task that has taken its place. */
  readonly redriven: Map<string, string>;
  readonly mended: Set<string | undefined>;
}

async function story(world: World, planned: readonly PlannedTask[], options: StoryOptions): Promise<void> {
  const { note, heard, redriven } = options;
  const ended = new Set<string>();
  const over = new AbortController();
  const following = follow(world, { heard, ended, note, signal: over.signal });
  const callers: Promise<void>[] = [];
  const begun = world.clock.now();
  for (const task of planned) {
    await world.pause(begun + task.atMs - world.clock.now());
    callers.push(caller(world, task, options));
  }
  await Promise.all(callers);
  while (ended.size < planned.length + redriven.size) await world.pause(1_000);
  over.abort();
  await following;
}

interface Following {
  readonly heard: TaskEvent[];
  /** Tasks that have ended. */
  readonly ended: Set<string>;
  readonly note: (end: string) => void;
  readonly signal: AbortSignal;
}

async function follow(world: World, { heard, ended, note, signal }: Following): Promise<void> {
  const { events } = world.storage;
  const after = await events.head({ tenantId: TENANT });
  for await (const event of events.follow({ tenantId: TENANT, after, signal })) {
    if (event.event === 'gap') continue;
    heard.push(event);
    if (event.event !== 'task_completed' && event.event !== 'task_failed') continue;
    note(`${event.task_id} ${event.event}`);
    ended.add(event.task_id ?? '');
  }
}

/** Submits a task, sends it its signals, perhaps cancels it, and redrives it once it has failed for good. */
async function caller(world: World, planned: PlannedTask, options: StoryOptions): Promise<void> {
  const { taskId, sessionId, program, cancelAfterMs } = planned;
  const body = {
    type: 'program',
    task_id: taskId,
    session_id: sessionId,
    payload: program,
    max_attempts: 100,
    metadata: { timeout_ms: 20 * DAY_MS },
  };
  const request = { tenantId: TENANT, body, idempotencyKey: taskId };
  await world.insist(({ registry }) => registry.submit(request));
  world.acknowledged.add(taskId);
  await Promise.all([
    sendSignals(world, taskId, program),
    options.disturbed ? cancel(world, taskId, cancelAfterMs) : undefined,
    planned.redrive ? redrive(world, planned, options) : undefined,
  ]);
}

async function sendSignals(world: World, taskId: string, program: Node): Promise<void> {
  const signals = signalsOf(program).map(async ({ name, afterMs }) => {
    await world.pause(afterMs);
    await signal(world, taskId, name);
  });
  await Promise.all(signals);
}

async function redrive(
  world: World,
  { taskId, sessionId, program }: PlannedTask,
  { redriven, mended }: StoryOptions,
): Promise<void> {
  const task = await world.insist(({ registry }) => registry.wait({ tenantId: TENANT, taskId }));
  if (task.status !== 'failed') return;
  // First: the new task may have run before the answer to this request is there, or that answer is lost.
  mended.add(sessionId);
  const { task_id } = await world.insist(({ registry }) => registry.redrive({ tenantId: TENANT, taskId }));
  redriven.set(taskId, task_id);
  await sendSignals(world, task_id, program);
}

async function signal(world: World, taskId: string, name: string): Promise<void> {
  const received = { tenantId: TENANT, taskId, name, payload: name, idempotencyKey: name };
  try {
    await world.insist(({ registry }) => registry.signal(received).then(() => true));
  } catch (error) {
    // The task was cancelled meanwhile.
    if (!(error instanceof OrchestratorError && error.code === 'conflict')) throw error;
  }
}

async function cancel(world: World, taskId: string, afterMs: number | undefined): Promise<void> {
  if (afterMs === undefined) return;
  await world.pause(afterMs);
  try {
    await world.insist(({ registry }) => registry.cancel({ tenantId: TENANT, taskId, reason: 'enough' }));
  } catch (error) {
    // The task has ended meanwhile.
    if (!(error instanceof OrchestratorError && error.code === 'conflict')) throw error;
  }
}

async function endingOf({ storage }: World, { taskId, sessionId }: PlannedTask): Promise<Ending> {
  const found = await storage.tasks.get({ tenantId: TENANT, taskId });
  if (!found) return { status: 'absent', what: '' };
  const { status, result, error } = found.task;
  const messages = await storage.sessions.messages({ tenantId: TENANT, sessionId, limit: 200 });
  const said = messages?.map(({ message_id, content }) => `${message_id} ${content}`);
  return { status, what: JSON.stringify({ result, error, said }) };
}
