import { OrchestratorError } from '@agent-orchestrator/core';

/** A class, as everything that holds what passes by quickly: see ADR 10. */
class Waiting<I, O> {
  constructor(
    readonly item: I,
    readonly resolve: (outcome: O | Promise<O>) => void,
    readonly reject: (error: unknown) => void,
  ) {}
}

/** What is done for one tenant in a batch. */
export interface BatchPart<I> {
  readonly tenantId: string;
  readonly items: readonly I[];
}

class Part<I, O> implements BatchPart<I> {
  readonly items: readonly I[];

  constructor(
    readonly tenantId: string,
    readonly waiting: readonly Waiting<I, O>[],
  ) {
    this.items = waiting.map(({ item }) => item);
  }
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
  #inFlight = 0;

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
      const one = new Waiting(item, resolve, reject);
      const waiting = this.#waiting.get(tenantId);
      if (waiting) waiting.push(one);
      else {
        if (this.#waiting.size === 0) this.#plan();
        // What a literal makes may be kept too long, as said in ADR 10.
        this.#waiting.set(tenantId, Array.of(one));
      }
    });
  }

  /** While something is under way, what comes in this turn goes together; else what comes at once. */
  #plan(): void {
    if (this.#inFlight > 0) setImmediate(() => this.#flush());
    else process.nextTick(() => this.#flush());
  }

  #flush(): void {
    const parts = [...this.#waiting].flatMap(([tenantId, waiting]) =>
      Array.from(
        { length: Math.ceil(waiting.length / MOST) },
        (_, at) => new Part(tenantId, waiting.slice(at * MOST, (at + 1) * MOST)),
      ),
    );
    this.#waiting = new Map();
    let from = 0;
    let size = 0;
    for (const [at, { waiting }] of parts.entries()) {
      if (at > from && (!this.options.acrossTenants || size + waiting.length > MOST)) {
        void this.#send(parts.slice(from, at));
        from = at;
        size = 0;
      }
      size += waiting.length;
    }
    void this.#send(parts.slice(from));
  }

  async #send(parts: readonly Part<I, O>[]): Promise<void> {
    this.#inFlight += 1;
    try {
      const outcomes = await this.options.send(parts);
      for (const [part, { waiting }] of parts.entries()) answer(waiting, outcomes[part] ?? []);
    } catch (error) {
      for (const { waiting } of parts) for (const { reject } of waiting) reject(error);
    } finally {
      this.#inFlight -= 1;
    }
  }
}

function answer<I, O>(waiting: readonly Waiting<I, O>[], outcome: PartOutcome<O>): void {
  for (const [at, { resolve, reject }] of waiting.entries()) {
    if (outcome instanceof OrchestratorError) reject(outcome);
    else resolve(outcome[at] as O | Promise<O>);
  }
}
