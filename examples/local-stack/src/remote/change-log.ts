import { closeSync, existsSync, openSync, readFileSync, truncateSync, writeSync } from 'node:fs';
import { type JsonValue, OrchestratorError } from '@agent-orchestrator/core';
import type { OperationContext, OperationDefinition, ServiceDefinition } from '../service-definition.js';

/** A call that changed the state of a service. */
interface Change {
  readonly tenant_id: string;
  readonly operation: string;
  readonly input: JsonValue;
}

const MAX_BYTES = 256 * 1024 * 1024;

/**
 * State changes of a service, one call per line, so that its next process can restore them. A line is written
 * before the call is answered; an incomplete one, after a crash, counts as not written.
 */
export class ChangeLog {
  readonly #file: string;
  #descriptor: number | undefined;
  #bytes = 0;

  constructor(file: string) {
    this.#file = file;
  }

  /** The definition with its changes restored, and new ones logged. */
  async follow(definition: ServiceDefinition): Promise<ServiceDefinition> {
    for (const change of this.#read()) {
      const operation = definition.operations[change.operation];
      // A refused change is refused again.
      await operation?.run(operation.input.parse(change.input), replayed(change)).catch(() => undefined);
    }
    this.#descriptor = openSync(this.#file, 'a', 0o600);
    const operations = Object.entries(definition.operations).map(([name, operation]) => [
      name,
      operation.changes === true ? this.#written(name, operation) : operation,
    ]);
    return { ...definition, operations: Object.fromEntries(operations) };
  }

  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }

  #written(name: string, operation: OperationDefinition): OperationDefinition {
    return {
      ...operation,
      run: async (input, context) => {
        const result = await operation.run(input, context);
        this.#write({ tenant_id: context.tenant_id, operation: name, input: input as JsonValue });
        return result;
      },
    };
  }

  #write(change: Change): void {
    const line = Buffer.from(`${JSON.stringify(change)}\n`);
    if (this.#descriptor === undefined) throw new OrchestratorError('not_running', 'the service has stopped');
    if (this.#bytes + line.byteLength > MAX_BYTES) {
      const message = `expected at most ${MAX_BYTES} bytes of changes, there are ${this.#bytes}`;
      throw new OrchestratorError('budget_exceeded', message, { retryable: false });
    }
    this.#bytes += writeSync(this.#descriptor, line);
  }

  #read(): Change[] {
    if (!existsSync(this.#file)) return [];
    const text = readFileSync(this.#file, 'utf8');
    const whole = text.slice(0, text.lastIndexOf('\n') + 1);
    this.#bytes = Buffer.byteLength(whole);
    truncateSync(this.#file, this.#bytes);
    return whole
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Change);
  }
}

/** A replayed change sends neither calls nor notifications. */
function replayed({ tenant_id }: Change): OperationContext {
  return {
    tenant_id,
    task_id: '',
    call_id: '',
    signal: new AbortController().signal,
    progress: () => {},
    used: () => {},
    call: async (service) => {
      throw new OrchestratorError('service_unavailable', `${service} is not asked again`);
    },
  };
}
