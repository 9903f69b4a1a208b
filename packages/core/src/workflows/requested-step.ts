import { fingerprintOf } from '../protocol/fingerprint.js';
import type { JsonValue } from '../protocol/json.js';
import { fieldText } from '../protocol/known-text.js';
import type { StepKind } from '../storage/call-journal.js';

/** A step requested by a workflow, with its parameters. */
export type Command =
  | {
      readonly kind: 'call';
      readonly id?: string | undefined;
      readonly service: string;
      readonly operation: string;
      readonly input: JsonValue;
      readonly silenceMs?: number | undefined;
      readonly maxTries?: number | undefined;
      /** Reads the result by its contract. @throws {OrchestratorError} `invalid_response` */
      readonly read?: ((result: JsonValue) => unknown) | undefined;
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

/** A requested step and the promise that the workflow awaits. */
export interface RequestedStep {
  readonly key: string;
  readonly kind: StepKind;
  readonly name: string;
  readonly command: Command;
  readonly promise: Promise<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  delivered: boolean;
}

export function nameOf(command: Command): string {
  switch (command.kind) {
    case 'call':
      return `${command.service}.${command.operation}`;
    case 'run':
      return `run ${command.name}`;
    case 'sleep':
      return 'sleep';
    case 'signal':
      return `signal ${command.name}`;
    default:
      return command satisfies never;
  }
}

/**
 * Assigns journal keys to steps, stable over replays however branches interleave: the `id`, else the command and its
 * occurrence count.
 */
export class StepNames {
  readonly #counts = new Map<string, number>();

  keyOf(command: Command): string {
    if (command.id !== undefined) return `#${command.id}`;
    const what = `${nameOf(command)}${detailOf(command)}`;
    const count = (this.#counts.get(what) ?? 0) + 1;
    this.#counts.set(what, count);
    return `${what}:${count}`;
  }
}

function detailOf(command: Command): string {
  if (command.kind === 'call') return `:${fingerprintOf(fieldText(command, 'input'))}`;
  return command.kind === 'sleep' ? `:${command.ms}` : '';
}

/** Marks a promise as handled: the workflow may await it later or never, and its rejection must not end the process. */
export function awaitedLater<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

export function newRequestedStep(key: string, command: Command): RequestedStep {
  let resolve: (value: unknown) => void = () => {};
  let reject: (error: Error) => void = () => {};
  const promise = awaitedLater(
    new Promise<unknown>((onValue, onError) => {
      resolve = onValue;
      reject = onError;
    }),
  );
  return {
    key,
    kind: command.kind,
    name: nameOf(command),
    command,
    promise,
    resolve,
    reject,
    delivered: false,
  };
}
