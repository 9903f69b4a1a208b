import { fingerprintOf } from '../fingerprint.js';
import type { JsonValue } from '../protocol/json.js';
import { fieldText } from '../protocol/known-text.js';
import type { StepKind } from '../storage/call-journal.js';

/** What a workflow asks for. */
export type Ask =
  | {
      readonly kind: 'call';
      readonly id?: string | undefined;
      readonly service: string;
      readonly operation: string;
      readonly input: JsonValue;
      readonly silenceMs?: number | undefined;
      readonly maxTries?: number | undefined;
    }
  | {
      readonly kind: 'run';
      readonly id?: string | undefined;
      readonly name: string;
      readonly work: () => unknown;
    }
  | { readonly kind: 'sleep'; readonly id?: string | undefined; readonly ms: number }
  | {
      readonly kind: 'signal';
      readonly id?: string | undefined;
      readonly name: string;
      readonly timeoutMs?: number | undefined;
    };

/** A step that the function waits for. */
export interface AskedStep {
  readonly key: string;
  readonly kind: StepKind;
  readonly name: string;
  readonly ask: Ask;
  readonly promise: Promise<JsonValue>;
  readonly resolve: (value: JsonValue) => void;
  readonly reject: (error: Error) => void;
  delivered: boolean;
}

export function nameOf(ask: Ask): string {
  switch (ask.kind) {
    case 'call':
      return `${ask.service}.${ask.operation}`;
    case 'run':
      return `run ${ask.name}`;
    case 'sleep':
      return 'sleep';
    case 'signal':
      return `signal ${ask.name}`;
    default:
      return ask satisfies never;
  }
}

/**
 * Names steps so that a replay finds them again however its branches interleave: by `id`, else by what is asked and
 * how often just this was asked.
 */
export class StepNames {
  readonly #counts = new Map<string, number>();

  keyOf(ask: Ask): string {
    if (ask.id !== undefined) return `#${ask.id}`;
    const what = `${nameOf(ask)}${detailOf(ask)}`;
    const count = (this.#counts.get(what) ?? 0) + 1;
    this.#counts.set(what, count);
    return `${what}:${count}`;
  }
}

function detailOf(ask: Ask): string {
  if (ask.kind === 'call') return `:${fingerprintOf(fieldText(ask, 'input'))}`;
  return ask.kind === 'sleep' ? `:${ask.ms}` : '';
}

/** A workflow may await it later, or never: its failure must not end the process in the meantime. */
export function awaitedLater<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

export function newAskedStep(key: string, ask: Ask): AskedStep {
  let resolve: (value: JsonValue) => void = () => {};
  let reject: (error: Error) => void = () => {};
  const promise = awaitedLater(
    new Promise<JsonValue>((onValue, onError) => {
      resolve = onValue;
      reject = onError;
    }),
  );
  return { key, kind: ask.kind, name: nameOf(ask), ask, promise, resolve, reject, delivered: false };
}
