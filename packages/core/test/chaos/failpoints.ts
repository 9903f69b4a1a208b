/** Where a process can die: `<interface>.<method>[/<kind>]:before|after`. */
export type Failpoint = `${string}:${'before' | 'after'}`;

/** Distinguishes the kinds of a method, if any. */
const KINDS: Readonly<Record<string, (params: never) => string>> = {
  'queue.settle': ({ settlement }: { readonly settlement: { readonly kind: string } }) => settlement.kind,
  'journal.begin': ({ step }: { readonly step: { readonly kind: string } }) => step.kind,
  'journal.record': (params: { readonly callId?: string; readonly answer: { readonly kind: string } }) =>
    params.callId === undefined ? 'own_work' : params.answer.kind,
  'journal.report': ({ body }: { readonly body: { readonly kind: string } }) => body.kind,
};

/** The name of an operation of the storage, without `before` or `after`. */
export function operationOf(part: string, method: string, params: unknown): string {
  const name = `${part}.${method}`;
  const kind = KINDS[name];
  return kind ? `${name}/${kind(params as never)}` : name;
}

/** What a process does now and then though there may be nothing to do. */
const POLLS = /^(?:queue\.sweep|queue\.claim|queue\.renew|tasks\.get|storage\.ping|workers\.announce):/;

export function isPoll(point: Failpoint): boolean {
  return POLLS.test(point);
}

/** Whether it is a change of the disk that a folder is on. */
export function isOfDisk(point: Failpoint): boolean {
  return point.startsWith('disk.');
}

/** Counts the passes of each failpoint, and decides which one kills its process. */
export class Failpoints {
  readonly passed = new Map<Failpoint, number>();
  readonly #decide: (point: Failpoint, processName: string) => boolean;

  /** @param decide true: the process dies. */
  constructor(decide: (point: Failpoint, processName: string) => boolean) {
    this.#decide = decide;
  }

  /** Whether the process dies here. */
  pass(point: Failpoint, processName: string): boolean {
    this.passed.set(point, (this.passed.get(point) ?? 0) + 1);
    return this.#decide(point, processName);
  }
}
