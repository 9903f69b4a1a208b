import { OrchestratorError } from '@agent-orchestrator/core';

/** A class, like all short-lived values: see ADR 10. */
class Waiting<I, O> {
  constructor(
    readonly item: I,
    readonly resolve: (outcome: O | Promise<O>) => void,
    readonly reject: (error: unknown) => void,
  ) {}
}

/** Items of one tenant in a batch. */
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

/** One outcome for each item, in order (a promise for a slower one); or the error of this tenant. */
export type PartOutcome<O> = readonly (O | Promise<O>)[] | OrchestratorError;

/** Maximum of items in one call: more would block the server for too long. */
const MAX_ITEMS = 32;

/**
 * Batches the items of one turn of the event loop: a script for many tasks costs little more than one for a
 * single task. With nothing in flight, the first item does not wait for others. On one server tasks of
 * several tenants share a script; on a Cluster each tenant has its own.
 */
export class MicroBatch<I, O> {
  #waiting = new Map<string, Waiting<I, O>[]>();
  #inFlight = 0;

  constructor(
    private readonly options: {
      /** Whether one call may have several tenants. */
      readonly acrossTenants: boolean;
      /** Answers for each part, in order. */
      readonly send: (parts: readonly BatchPart<I>[]) => Promise<readonly PartOutcome<O>[]>;
    },
  ) {}

  add(tenantId: string, item: I): Promise<O> {
    return new Promise((resolve, reject) => {
      const one = new Waiting(item, resolve, reject);
      const waiting = this.#waiting.get(tenantId);
      if (waiting) waiting.push(one);
      else {
        if (this.#waiting.size === 0) this.#scheduleFlush();
        // An array literal may be kept too long, see ADR 10.
        this.#waiting.set(tenantId, Array.of(one));
      }
    });
  }

  /** With a call in flight, the whole turn's items are batched; else those of this tick. */
  #scheduleFlush(): void {
    if (this.#inFlight > 0) setImmediate(() => this.#flush());
    else process.nextTick(() => this.#flush());
  }

  #flush(): void {
    const parts = [...this.#waiting].flatMap(([tenantId, waiting]) =>
      Array.from(
        { length: Math.ceil(waiting.length / MAX_ITEMS) },
        (_, at) => new Part(tenantId, waiting.slice(at * MAX_ITEMS, (at + 1) * MAX_ITEMS)),
      ),
    );
    this.#waiting = new Map();
    let from = 0;
    let size = 0;
    for (const [at, { waiting }] of parts.entries()) {
      if (at > from && (!this.options.acrossTenants || size + waiting.length > MAX_ITEMS)) {
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
