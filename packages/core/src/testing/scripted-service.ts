import { TaskNotifier } from '../notifier/task-notifier.js';
import { type InProcessHub, InProcessTransport } from '../notifier/in-process-transport.js';
import { OrchestratorError } from '../protocol/errors.js';
import type { JsonArgument, JsonObject } from '../protocol/json.js';
import { accepted, type InProcessService, type ServiceCall } from '../protocol/service-call.js';
import type { Ack } from '../protocol/service-socket.js';

/** Reply of a scripted service: 202, with the call's id as job. The test reports the outcome later. */
export const LATER = Symbol('accepted, reported later');

/**
 * Reply to a call: a result; an error, which is thrown; `LATER`; or a function of the input. An array is a sequence: one reply per call,
 * the last one for all further calls. For an array as result, return it by a function.
 */
export type Reply = Answer | readonly Answer[];
type Answer = JsonArgument | Error | typeof LATER | ((input: never, call: ServiceCall) => unknown);

/** An in-process service for tests: replies by a script, records its calls, and reports outcomes when the test says so. */
export class ScriptedService implements InProcessService {
  /** Calls received so far, resends included. */
  readonly calls: ServiceCall[] = [];
  readonly #script: ReadonlyMap<string, Reply>;
  readonly #counts = new Map<string, number>();
  #notifier: TaskNotifier | undefined;

  /** @param script replies by operation */
  constructor(script: Readonly<Record<string, Reply>>) {
    this.#script = new Map(Object.entries(script));
  }

  /** Inputs of the calls of an operation. */
  inputs(operation: string): readonly unknown[] {
    return this.calls.filter((call) => call.operation === operation).map(({ input }) => input);
  }

  /** Connects the service to an orchestrator, for the reports. `TestOrchestrator` does. */
  connect(name: string, hub: InProcessHub): void {
    this.#notifier = new TaskNotifier({ serviceName: name, transport: new InProcessTransport(hub) });
  }

  async run(call: ServiceCall): Promise<unknown> {
    this.calls.push(call);
    const reply = this.#answer(call.operation);
    const result: unknown = typeof reply === 'function' ? await reply(call.input as never, call) : reply;
    if (result instanceof Error) throw result;
    return result === LATER ? accepted(call.call_id) : result;
  }

  /** Reports the result of a call answered with `LATER`; default: of the last one. */
  complete(result: JsonArgument, call = this.#last()): Promise<Ack> {
    return this.#connected().notifyTaskCompletion({ ...aboutOf(call), result });
  }

  /** Reports its failure. `retryable`: default `false`. */
  fail(error: string, { retryable = false, call = this.#last() } = {}): Promise<Ack> {
    return this.#connected().notifyTaskFailure({ ...aboutOf(call), error, retryable });
  }

  /** Reports a status of it. */
  progress(status: string, details: JsonObject = {}, call = this.#last()): Promise<Ack> {
    return this.#connected().notifyTaskStatus({ ...aboutOf(call), status, details });
  }

  async close(): Promise<void> {
    await this.#notifier?.close();
  }

  #answer(operation: string): Answer {
    const reply = this.#script.get(operation);
    if (!this.#script.has(operation)) {
      const known = [...this.#script.keys()].join(', ');
      throw new OrchestratorError(
        'invalid_request',
        `expected one of the operations ${known}; got "${operation}"`,
      );
    }
    if (!Array.isArray(reply)) return reply;
    const answers = reply as readonly Answer[];
    const count = this.#counts.get(operation) ?? 0;
    this.#counts.set(operation, count + 1);
    return answers[Math.min(count, answers.length - 1)];
  }

  #last(): ServiceCall {
    const call = this.calls.at(-1);
    if (!call) throw new OrchestratorError('conflict', 'expected a call to report on, got none yet');
    return call;
  }

  #connected(): TaskNotifier {
    if (this.#notifier) return this.#notifier;
    throw new OrchestratorError('not_running', 'the scripted service belongs to no TestOrchestrator');
  }
}

function aboutOf({ call_id, task_id, tenant_id }: ServiceCall) {
  return { task_id: call_id, call_id, global_task_id: task_id, tenant_id };
}
