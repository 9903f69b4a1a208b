import { randomUUID } from 'node:crypto';
import { type JsonObject, type JsonValue, OrchestratorError } from '@agent-orchestrator/core';
import { ServiceReply } from '@agent-orchestrator/core/protocol';
import type { TaskCancel } from '@agent-orchestrator/core/protocol';
import {
  createLocalStack,
  type Gateway,
  type JobNotifier,
  type LocalStack,
  type LocalStackOptions,
  type ServiceHost,
} from '../src/index.js';

type Notice = Parameters<JobNotifier['notifyTaskStatus']>[0];

/** A notifier that passes outcomes to waiters of the job, and records all of them. */
export class FakeNotifier implements JobNotifier {
  readonly statuses: Notice[] = [];
  readonly outcomes: { task_id: string; outcome: JsonValue | Error; metadata?: JsonObject }[] = [];
  readonly #waiting = new Map<string, (outcome: JsonValue | Error) => void>();
  readonly #listeners: ((frame: TaskCancel) => void)[] = [];

  async notifyTaskStatus(notice: Notice) {
    this.statuses.push(notice);
  }

  async notifyTaskCompletion(notice: { task_id: string; result: JsonValue; metadata?: JsonObject }) {
    this.#settle(notice.task_id, notice.result, notice.metadata);
  }

  async notifyTaskFailure(notice: { task_id: string; error: unknown }) {
    this.#settle(notice.task_id, notice.error as Error);
  }

  on(_event: 'task_cancel', listener: (frame: TaskCancel) => void) {
    this.#listeners.push(listener);
  }

  cancel(frame: TaskCancel) {
    for (const listener of this.#listeners) listener(frame);
  }

  outcomeOf(jobId: string): Promise<JsonValue | Error> {
    const known = this.outcomes.find(({ task_id }) => task_id === jobId);
    if (known !== undefined) return Promise.resolve(known.outcome);
    return new Promise((resolve) => this.#waiting.set(jobId, resolve));
  }

  #settle(jobId: string, outcome: JsonValue | Error, metadata?: JsonObject) {
    this.outcomes.push({ task_id: jobId, outcome, ...(metadata && { metadata }) });
    this.#waiting.get(jobId)?.(outcome);
  }
}

/** Calls hosts directly, instead of through an orchestrator. */
class DirectGateway implements Gateway {
  readonly calls: string[] = [];
  services: Readonly<Record<string, ServiceHost>> = {};
  readonly notifiers = new Map<string, FakeNotifier>();

  notifierFor = (service: string): FakeNotifier => {
    const notifier = this.notifiers.get(service) ?? new FakeNotifier();
    this.notifiers.set(service, notifier);
    return notifier;
  };

  async call(request: Parameters<Gateway['call']>[0]): Promise<JsonValue> {
    const { service, operation, input, tenant_id, session_id, task_id, signal } = request;
    this.calls.push(`${tenant_id} ${service}.${operation}`);
    const host = this.services[service];
    if (host === undefined) throw new OrchestratorError('unknown_service', `no service "${service}"`);
    const call = {
      call_id: randomUUID(),
      task_id: task_id ?? randomUUID(),
      tenant_id,
      session_id,
      operation,
      input: structuredClone(input),
      attempt: 1,
      metadata: {},
    };
    const reply = await host.run(call, { signal: signal ?? new AbortController().signal });
    if (!(reply instanceof ServiceReply)) throw new Error('expected a ServiceReply');
    if (reply.kind === 'answered') return reply.result as JsonValue;
    const outcome = await this.notifierFor(service).outcomeOf(reply.jobId);
    if (outcome instanceof Error) throw outcome;
    return outcome;
  }
}

export interface Stack extends LocalStack {
  readonly gateway: DirectGateway;
  ask(
    message: string,
    options?: { tenant?: string; messages?: JsonValue[]; agent?: JsonObject },
  ): Promise<Answer>;
  ingest(
    name: string,
    content: string,
    options?: { tenant?: string; media_type?: string },
  ): Promise<JsonObject>;
  call(service: string, operation: string, input: JsonValue, tenant?: string): Promise<JsonObject>;
}

export interface Answer {
  readonly content: string;
  readonly sources?: { id: string; title: string; quote: string; score: number }[];
  readonly steps?: { tool?: string; service?: string; output?: JsonObject }[];
}

/** The running stack. */
export function startStack(options: Omit<LocalStackOptions, 'gatewayFor' | 'notifierFor'> = {}): Stack {
  const gateway = new DirectGateway();
  const stack = createLocalStack({
    embedding: 'hashed',
    ...options,
    gatewayFor: () => gateway,
    notifierFor: gateway.notifierFor,
  });
  gateway.services = stack.services;
  const call = async (service: string, operation: string, input: JsonValue, tenant = 'acme') =>
    (await gateway.call({ service, operation, input, tenant_id: tenant })) as JsonObject;
  return {
    ...stack,
    gateway,
    call,
    async ask(message, { tenant, messages = [], agent } = {}) {
      const used = agent ?? (await call('agent_management', 'get_agent', {}, tenant));
      return (await call(
        'agent_execution',
        'run',
        { agent: used, message, messages, context: {} },
        tenant,
      )) as unknown as Answer;
    },
    async ingest(name, content, { tenant, media_type } = {}) {
      return call(
        'ingestion',
        'ingest_document',
        { name, content, ...(media_type !== undefined && { media_type }) },
        tenant,
      );
    },
  };
}
