import { OrchestratorError } from '../protocol/errors.js';
import { idSchema, nameSchema } from '../protocol/ids.js';
import type { JsonArgument, JsonObject, JsonValue } from '../protocol/json.js';
import { PAGE_SIZES, pageLimit } from '../protocol/pages.js';
import { DEFAULTS } from '../protocol/settings.js';
import type { Message, Session } from '../protocol/session.js';
import type { Progress } from '../protocol/task.js';
import { describe, validate } from '../protocol/validation.js';
import { addCopy } from '../protocol/bounded-json.js';
import { SessionManager } from '../sessions/session-manager.js';
import { type Command, awaitedLater } from './requested-step.js';
import { SeededRandom } from './seeded-random.js';
import type { CallOptions, StepOptions, WorkflowContext, WorkflowFunction } from './context.js';
import type { ContextPorts, ContextRun } from './run-ports.js';
import {
  checkCallOptions,
  checkProgress,
  checkSignalOptions,
  checkSleep,
  checkStepOptions,
} from './step-options.js';

const INPUT = { what: 'the input of the call', tooLarge: 'payload_too_large' } as const;

/** The workflow context of one run: turns requests of the workflow into steps of the run. */
export class RunContext implements WorkflowContext {
  readonly #run: ContextRun;
  readonly #ports: ContextPorts;
  #random: SeededRandom | undefined;
  #session: WorkflowContext['session'] | undefined;
  /** The function has not returned its promise yet: nothing was awaited since the claim. */
  #isBeginning = true;

  constructor(run: ContextRun, ports: ContextPorts) {
    this.#run = run;
    this.#ports = ports;
  }

  /** Calls the workflow function. */
  begin(fn: WorkflowFunction): unknown {
    try {
      return fn(this, this.#run.claim.task.payload);
    } finally {
      this.#isBeginning = false;
    }
  }

  get taskId(): string {
    return this.#run.claim.task.task_id;
  }

  get tenantId(): string {
    return this.#run.claim.task.tenant_id;
  }

  get sessionId(): string | undefined {
    return this.#run.claim.task.session_id;
  }

  get agentId(): string | undefined {
    return this.#run.claim.task.agent_id;
  }

  get metadata(): WorkflowContext['metadata'] {
    return this.#run.claim.task.metadata;
  }

  get attempt(): number {
    return this.#run.claim.task.attempt;
  }

  get session(): WorkflowContext['session'] {
    return (this.#session ??= this.#sessionSteps());
  }

  get signal(): AbortSignal {
    return this.#run.signal;
  }

  call<T>(service: string, operation: string, input: JsonArgument = {}, options?: CallOptions): Promise<T> {
    return this.#step(() => {
      validate(nameSchema, operation, 'operation');
      this.#ports.caller.service(service);
      const { contracts } = this.#ports;
      const { id, timeoutMs: silenceMs, retry } = checkCallOptions(options);
      // Copied now: the workflow may change its objects later.
      const maxTries = retry?.maxAttempts;
      const command = {
        kind: 'call',
        id,
        service,
        operation,
        input: null as JsonValue,
        silenceMs,
        maxTries,
        read: contracts.resultReader(service, operation),
      } as const;
      addCopy(command, 'input', contracts.input(service, operation, input), INPUT);
      return command;
    });
  }

  run<T>(name: string, work: () => T | Promise<T>, options?: StepOptions): Promise<T> {
    return this.#step(() => {
      validate(nameSchema, name, 'name of a step');
      if (typeof work !== 'function') {
        throw new OrchestratorError(
          'invalid_request',
          `step "${name}": expected a function, got ${describe(work)}`,
        );
      }
      return { kind: 'run', id: checkStepOptions(options).id, name, work };
    });
  }

  sleep(ms: number, options?: StepOptions): Promise<void> {
    return this.#step(() => {
      const sleepMs = checkSleep(ms);
      this.#refuseBeyondDeadline('sleep', sleepMs);
      return { kind: 'sleep', id: checkStepOptions(options).id, ms: sleepMs };
    });
  }

  waitForSignal<T>(name: string, options?: StepOptions & { readonly timeoutMs?: number }): Promise<T> {
    return this.#step(() => {
      validate(nameSchema, name, 'name of a signal');
      const { id, timeoutMs } = checkSignalOptions(options);
      if (timeoutMs !== undefined) this.#refuseBeyondDeadline(`signal ${name}`, timeoutMs);
      return { kind: 'signal', id, name, timeoutMs };
    });
  }

  progress(progress: Progress): Promise<void> {
    return awaitedLater(this.#progress(progress));
  }

  async #progress(progress: Progress): Promise<void> {
    const checked = checkProgress(progress);
    if (!this.#run.replaying && !this.#run.cancelled) await this.#run.report(checked);
  }

  /** Invalid parameters reject the step's promise, like any other failure. */
  #step<T>(command: () => Command): Promise<T> {
    try {
      return this.#run.request(command()) as Promise<T>;
    } catch (error) {
      return awaitedLater(Promise.reject(error as Error));
    }
  }

  /**
   * Fails a wait that would end after the deadline at once. Both times come from the journal, so every replay decides alike.
   * @throws {OrchestratorError} `workflow_error`
   */
  #refuseBeyondDeadline(what: string, ms: number): void {
    const { created_at, run_at, metadata } = this.#run.claim.task;
    const begins = Math.max(Date.parse(created_at), run_at === undefined ? 0 : Date.parse(run_at));
    const deadline = begins + (metadata.timeout_ms ?? DEFAULTS.taskTimeoutMs);
    const ends = this.#run.now + ms;
    if (ends <= deadline) return;
    const [end, limit] = [ends, deadline].map((at) => new Date(at).toISOString());
    throw new OrchestratorError(
      'workflow_error',
      `${what}: it would end at ${end}, after the deadline of the task at ${limit}; set timeoutMs of the workflow, or timeout_ms of the task`,
      { retryable: false },
    );
  }

  now(): number {
    return this.#run.now;
  }

  random(): number {
    return this.#seeded.fraction();
  }

  uuid(): string {
    return this.#seeded.uuid();
  }

  get #seeded(): SeededRandom {
    return (this.#random ??= new SeededRandom(this.#run.claim.seed));
  }

  /** `undefined` if more is asked for than has come with the claim. The next claims of this type bring messages. */
  #claimedMessages(options: { readonly limit?: number }): readonly Message[] | undefined {
    const { sessionMessages: claimed, task } = this.#run.claim;
    this.#ports.readsMessages.add(task.type);
    const { limit, ...others } = options;
    const wanted = pageLimit(PAGE_SIZES.tenant, limit);
    const hasAll = claimed && (wanted <= claimed.messages.length || !claimed.hasOlder);
    return hasAll && Object.keys(others).length === 0 ? claimed.messages.slice(-wanted) : undefined;
  }

  #sessionSteps(): WorkflowContext['session'] {
    const { storage } = this.#ports;
    const sessions = new SessionManager({ storage });
    const where = () => ({
      tenantId: this.tenantId,
      sessionId: validate(idSchema, this.sessionId, 'session of the task'),
    });
    return {
      get: () => this.run<Session>('session_get', async () => (await sessions.get(where())).session),
      messages: (options = {}) => {
        // What came with the claim answers the first request only: later ones may follow a change.
        const isFirst = this.#isBeginning && this.#run.hasNoSteps;
        return this.run<readonly Message[]>(
          'session_messages',
          () => (isFirst && this.#claimedMessages(options)) || sessions.messages({ ...where(), ...options }),
        );
      },
      update: (context: JsonObject) =>
        this.run<Session>('session_update', () => sessions.update({ ...where(), context })),
      append: (message) => {
        // The id is drawn outside of the step, so that a step run twice appends once.
        const message_id = this.uuid();
        return this.run<Message>('session_append', () =>
          sessions.append({ ...where(), message: { ...message, message_id } }),
        );
      },
    };
  }
}
