export interface TurnsOptions {
  /** Whose share of the turns it takes, such as a tenant's: those who have work take turns, however much each has. */
  readonly share?: string;
  /** How far the work is that it belongs to. What is nearest to its end comes first, so that it lets go of what it holds. */
  readonly stage?: Stage;
  /** Once it fires, no more portions are done. */
  readonly signal?: AbortSignal;
}

/** Of a request: it was received, its task was claimed, or runs. The last one comes first. */
const STAGES = ['runs', 'claimed', 'received'] as const;
export type Stage = (typeof STAGES)[number];

/** Work that is done portion by portion. */
interface Job {
  /** Whether something is left to do. */
  step(): boolean;
}

/** What one share has to do: by stage, and those of a stage in their order. */
class Share {
  readonly #jobs: Readonly<Record<Stage, Set<Job>>> = {
    runs: new Set(),
    claimed: new Set(),
    received: new Set(),
  };
  /** A job keeps its turns until it is over. */
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

/** Those who have something to do; the next one is the first. */
const shares = new Map<string, Share>();
let isPlanned = false;

/**
 * Does work of more than one portion, each in a turn of the event loop of its own. Two portions never share a turn, however
 * much is under way, so the loop is held for one portion at most. The work of one share is done one after the other: what is
 * half done takes the most memory.
 *
 * Rejects with what a portion throws, or the reason of `signal`.
 */
export function inTurns<T>(
  portions: Generator<void, T, void>,
  { share = '', stage = 'received', signal }: TurnsOptions = {},
): Promise<T> {
  return new Promise((resolve, reject) => {
    const give = (settle: () => void) => {
      signal?.removeEventListener('abort', giveUp);
      settle();
      return false;
    };
    const job: Job = {
      step() {
        try {
          const portion = portions.next();
          return portion.done === true ? give(() => resolve(portion.value)) : true;
        } catch (error) {
          return give(() => reject(error));
        }
      },
    };
    const giveUp = () => {
      remove(share, job);
      reject(signal?.reason as Error);
    };
    if (signal?.aborted) {
      giveUp();
      return;
    }
    signal?.addEventListener('abort', giveUp, { once: true });
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

/** A portion for the share whose turn it is; then it stands behind the others. */
function takeTurn(): void {
  const [first] = shares;
  if (!first) return;
  const [name, share] = first;
  share.takeTurn();
  shares.delete(name);
  if (!share.isEmpty) shares.set(name, share);
}
