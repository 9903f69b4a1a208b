import { OrchestratorError } from '../protocol/errors.js';
import { idSchema, nameSchema } from '../protocol/ids.js';
import type { JsonInput, JsonObject, JsonValue } from '../protocol/json.js';
import { DEFAULTS } from '../protocol/settings.js';
import type { Message, Session } from '../protocol/session.js';
import type { Progress } from '../protocol/task.js';
import { describe, validate } from '../protocol/validation.js';
import { SessionManager } from '../sessions/session-manager.js';
import { SeededChance } from './chance.js';
import type { CallOptions, WorkflowContext } from './context.js';
import type { RunPorts } from './run-ports.js';
import type { WorkflowRun } from './workflow-run.js';

/** The context of one run: turns what the workflow asks into steps of the run. */
export class RunContext implements WorkflowContext {
  readonly #run: WorkflowRun;
  readonly #ports: RunPorts;
  #chance: SeededChance | undefined;
  #session: WorkflowContext['session'] | undefined;

  constructor(run: WorkflowRun, ports: RunPorts) {
    this.#run = run;
    this.#ports = ports;
  }

  get task_id(): string {
    return this.#run.claim.task.task_id;
  }

  get tenant_id(): string {
    return this.#run.claim.task.tenant_id;
  }

  get session_id(): string | undefined {
    return this.#run.claim.task.session_id;
  }

  get agent_id(): string | undefined {
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

  async call<T>(
    service: string,
    operation: string,
    input: JsonInput = {},
    options: CallOptions = {},
  ): Promise<T> {
    validate(nameSchema, operation, 'operation');
    this.#ports.caller.service(service);
    // What is asked is fixed now, whatever the workflow does with its objects later.
    const asked = JSON.parse(JSON.stringify(input)) as JsonValue;
    const { id, timeout_ms: silenceMs, retry } = options;
    const ask = {
      kind: 'call',
      id,
      service,
      operation,
      input: asked,
      silenceMs,
      maxTries: retry?.max_attempts,
    } as const;
    return (await this.#run.ask(ask)) as T;
  }

  async run<T>(name: string, work: () => T | Promise<T>, options: { readonly id?: string } = {}): Promise<T> {
    validate(nameSchema, name, 'name of a step');
    return (await this.#run.ask({ kind: 'run', id: options.id, name, work })) as T;
  }

  async sleep(ms: number, options: { readonly id?: string } = {}): Promise<void> {
    if (!(ms >= 0 && ms <= DEFAULTS.maxTaskTimeoutMs)) {
      throw new OrchestratorError(
        'invalid_request',
        `sleep: expected 0 to 30 days in ms, got ${describe(ms)}`,
      );
    }
    await this.#run.ask({ kind: 'sleep', id: options.id, ms });
  }

  async waitForSignal<T>(
    name: string,
    options: { readonly id?: string; readonly timeout_ms?: number } = {},
  ): Promise<T> {
    validate(nameSchema, name, 'name of a signal');
    const { id, timeout_ms: timeoutMs } = options;
    return (await this.#run.ask({ kind: 'signal', id, name, timeoutMs })) as T;
  }

  async progress(progress: Progress): Promise<void> {
    if (!this.#run.replaying && !this.#run.cancelled) await this.#run.tell(progress);
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

  get #seeded(): SeededChance {
    return (this.#chance ??= new SeededChance(this.#run.claim.seed));
  }

  #sessionSteps(): WorkflowContext['session'] {
    const { storage } = this.#ports;
    const sessions = new SessionManager({ storage });
    const where = () => ({
      tenantId: this.tenant_id,
      sessionId: validate(idSchema, this.session_id, 'session of the task'),
    });
    return {
      get: () => this.run<Session>('session_get', async () => (await sessions.get(where())).session),
      messages: (options = {}) =>
        this.run<readonly Message[]>('session_messages', () => sessions.messages({ ...where(), ...options })),
      update: (context: JsonObject) =>
        this.run<Session>('session_update', () => sessions.update({ ...where(), context })),
      append: (message) => {
        // The id is drawn outside of the step, so that a step that runs twice appends once.
        const message_id = this.uuid();
        return this.run<Message>('session_append', () =>
          sessions.append({ ...where(), message: { ...message, message_id } }),
        );
      },
    };
  }
}
