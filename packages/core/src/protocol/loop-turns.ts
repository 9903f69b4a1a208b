export interface TurnsOptions {
  /** Fairness key, such as a tenant id: shares with work alternate, however much each has. */
  readonly share?: string;
  /** Progress of the request. Requests closest to completion go first, since they release memory. */
  readonly stage?: Stage;
  /** Stops the work before its next portion. */
  readonly signal?: AbortSignal;
}

/** Stages of a request, highest priority first. */
const STAGES = ['runs', 'claimed', 'received'] as const;
export type Stage = (typeof STAGES)[number];

/** Work in portions. */
interface Job {
  /** Runs one portion; `false` when done. */
  step(): boolean;
}

/** Jobs of one share, by stage, FIFO within a stage. */
class Share {
  readonly #jobs: Readonly<Record<Stage, Set<Job>>> = {
    runs: new Set(),
    claimed: new Set(),
    received: new Set(),
  };
  /** A job keeps its share's turns until it is done. */
  #current: Job | undefined;

  get isEmpty(): boolean {
    return STAGES.every((stage) => this.#jobs[stage].size === 0);
  }

  add(job: Job, stage: Stage): void {
    this.#jobs[stage].add(job);
  }

  remove(job: Job): void {
    for (const stage of STAGES) this.#jobs[stage].delete(job);
    if (this.#current === job) this.#current = undefined;
  }

  takeTurn(): void {
    for (const stage of STAGES) this.#current ??= this.#jobs[stage].values().next().value;
    const job = this.#current;
    if (job && !job.step()) this.remove(job);
  }
}

/** Shares with work, in rotation; the first is next. */
const shares = new Map<string, Share>();
let isPlanned = false;

/**
 * Runs work in portions, one per turn of the event loop. Two portions never share a turn, however many jobs run, so the loop
 * is blocked for one portion at most. The jobs of a share run one after the other: half-done jobs take the most memory.
 *
 * Rejects with the error of a portion, or the reason of `signal`.
 */
export function inTurns<T>(
  portions: Generator<void, T, void>,
  { share = '', stage = 'received', signal }: TurnsOptions = {},
): Promise<T> {
  return new Promise((resolve, reject) => {
    const finish = (settle: () => void) => {
      signal?.removeEventListener('abort', abort);
      settle();
      return false;
    };
    const job: Job = {
      step() {
        try {
          const portion = portions.next();
          return portion.done === true ? finish(() => resolve(portion.value)) : true;
        } catch (error) {
          return finish(() => reject(error));
        }
      },
    };
    const abort = () => {
      remove(share, job);
      reject(signal?.reason as Error);
    };
    if (signal?.aborted) {
      abort();
      return;
    }
    signal?.addEventListener('abort', abort, { once: true });
    add(share, job, stage);
  });
}

function add(name: string, job: Job, stage: Stage): void {
  const share = shares.get(name) ?? new Share();
  shares.set(name, share);
  share.add(job, stage);
  planTurn();
}

function remove(name: string, job: Job): void {
  const share = shares.get(name);
  share?.remove(job);
  if (share?.isEmpty) shares.delete(name);
}

function planTurn(): void {
  if (isPlanned || shares.size === 0) return;
  isPlanned = true;
  setImmediate(() => {
    isPlanned = false;
    takeTurn();
    planTurn();
  });
}

/** Runs a portion of the first share, then moves that share to the end. */
function takeTurn(): void {
  const [first] = shares;
  if (!first) return;
  const [name, share] = first;
  share.takeTurn();
  shares.delete(name);
  if (!share.isEmpty) shares.set(name, share);
}
