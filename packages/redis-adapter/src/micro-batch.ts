import { OrchestratorError } from '@agent-orchestrator/core';

interface Waiting<I, O> {
  readonly item: I;
  readonly resolve: (outcome: O | Promise<O>) => void;
  readonly reject: (error: unknown) => void;
}

/** What is done for one tenant in a batch. */
export interface BatchPart<I> {
  readonly tenantId: string;
  readonly items: readonly I[];
}

/** For each item, in their order, a promise for what takes longer than the others; or why nothing was done for this tenant. */
export type PartOutcome<O> = readonly (O | Promise<O>)[] | OrchestratorError;

/** So many go together at most: more would keep the server from others for too long. */
const MOST = 32;

/**
 * What arrives within one turn of the event loop goes to the server together: a script for many tasks costs little more
 * than one for a single task. When nothing is under way, what arrives first waits for no others. On one server tasks of several tenants share a script; on a Cluster each tenant has its own.
 */
export class MicroBatch<I, O> {
  #waiting = new Map<string, Waiting<I, O>[]>();
  #underWay = 0;

  constructor(
    private readonly options: {
      /** Whether one call may have several tenants. */
      readonly acrossTenants: boolean;
      /** Answers for each part, in their order. */
      readonly send: (parts: readonly BatchPart<I>[]) => Promise<readonly PartOutcome<O>[]>;
    },
  ) {}

  add(tenantId: string, item: I): Promise<O> {
    return new Promise((resolve, reject) => {
      const waiting = this.#waiting.get(tenantId);
      if (waiting) waiting.push({ item, resolve, reject });
      else {
        if (this.#waiting.size === 0) this.#plan();
        this.#waiting.set(tenantId, [{ item, resolve, reject }]);
      }
    });
  }

  /** While something is under way, what comes in this turn goes together; else what comes at once. */
  #plan(): void {
    if (this.#underWay > 0) setImmediate(() => this.#flush());
    else process.nextTick(() => this.#flush());
  }

  #flush(): void {
    const all = this.#waiting;
    this.#waiting = new Map();
    let batch: [string, Waiting<I, O>[]][] = [];
    let size = 0;
    for (const [tenantId, waiting] of all) {
      for (let from = 0; from < waiting.length; from += MOST) {
        const part = waiting.slice(from, from + MOST);
        if (batch.length > 0 && (!this.options.acrossTenants || size + part.length > MOST)) {
          void this.#send(batch);
          batch = [];
          size = 0;
        }
        batch.push([tenantId, part]);
        size += part.length;
      }
    }
    void this.#send(batch);
  }

  async #send(batch: readonly [string, readonly Waiting<I, O>[]][]): Promise<void> {
    this.#underWay += 1;
    try {
      const parts = batch.map(([tenantId, waiting]) => ({
        tenantId,
        items: waiting.map(({ item }) => item),
      }));
      const outcomes = await this.options.send(parts);
      for (const [part, [, waiting]] of batch.entries()) answer(waiting, outcomes[part] ?? []);
    } catch (error) {
      for (const [, waiting] of batch) for (const { reject } of waiting) reject(error);
    } finally {
      this.#underWay -= 1;
    }
  }
}

function answer<I, O>(waiting: readonly Waiting<I, O>[], outcome: PartOutcome<O>): void {
  for (const [at, { resolve, reject }] of waiting.entries()) {
    if (outcome instanceof OrchestratorError) reject(outcome);
    else resolve(outcome[at] as O | Promise<O>);
  }
}
