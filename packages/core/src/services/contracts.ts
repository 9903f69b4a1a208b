import type { JsonArgument, JsonValue } from '../protocol/json.js';
import type { ServiceCall } from '../protocol/service-call.js';
import {
  parseBySchema,
  requireSchema,
  type SchemaInput,
  type SchemaOutput,
  type StandardSchema,
} from '../protocol/standard-schema.js';

/** Schemas of one operation. Without `input` or `result`, that side is neither typed nor checked. */
export interface OperationContract {
  readonly input?: StandardSchema;
  readonly result?: StandardSchema;
}

/** Operations of a service. Without any, the service may be called with any operation, unchecked. */
export type ServiceContract = Readonly<Record<string, OperationContract>>;

/** Contracts by service and operation: `{ query: { query: { input, result } } }`. */
export type Contracts = Readonly<Record<string, ServiceContract>>;

/** Services that a workflow may call by the contracts `C`. */
export type ServiceName<C extends Contracts> = keyof C & string;

/** Operations of a service: any, if its contract has none. */
export type OperationName<K extends ServiceContract> = keyof K extends never ? string : keyof K & string;

type Operation<K extends ServiceContract, O extends string> = O extends keyof K ? K[O] : OperationContract;

/** What a caller passes as input. */
export type CallInput<K extends ServiceContract, O extends string> =
  Operation<K, O> extends { readonly input: infer S extends StandardSchema } ? SchemaInput<S> : JsonArgument;

/** What the service receives: the input after its schema's defaults and transformations. */
type ReceivedInput<K extends ServiceContract, O extends string> =
  Operation<K, O> extends { readonly input: infer S extends StandardSchema } ? SchemaOutput<S> : unknown;

/** What the caller gets. */
export type ReceivedResult<K extends ServiceContract, O extends string> =
  Operation<K, O> extends { readonly result: infer S extends StandardSchema } ? SchemaOutput<S> : unknown;

/** A call as an in-process service with the contract `K` receives it: a union by operation. */
export type ContractCall<K extends ServiceContract> = keyof K extends never
  ? ServiceCall
  : { [O in keyof K & string]: ServiceCall<O, ReceivedInput<K, O>> }[keyof K & string];

/** Checks calls by the contracts of the host. */
export class ContractChecks {
  /** @throws {OrchestratorError} `invalid_request` for a contract without valid schemas. */
  constructor(private readonly contracts: Contracts = {}) {
    for (const [service, operations] of Object.entries(contracts)) {
      for (const [operation, { input, result }] of Object.entries(operations)) {
        const what = `contract of ${service}.${operation}`;
        if (input !== undefined) requireSchema(input, `${what}: input`);
        if (result !== undefined) requireSchema(result, `${what}: result`);
      }
    }
  }

  /** The input to send. @throws {OrchestratorError} `invalid_request` */
  input(service: string, operation: string, input: unknown): unknown {
    const schema = this.#of(service, operation)?.input;
    return schema ? parseBySchema(schema, input, { what: `input of ${service}.${operation}` }) : input;
  }

  /** Reads results of an operation; `undefined` if they have no schema. The reader throws `invalid_response`. */
  resultReader(service: string, operation: string): ((result: JsonValue) => unknown) | undefined {
    const schema = this.#of(service, operation)?.result;
    if (!schema) return undefined;
    const what = `result of ${service}.${operation}`;
    return (result) => parseBySchema(schema, result, { what, code: 'invalid_response' });
  }

  #of(service: string, operation: string): OperationContract | undefined {
    if (!Object.hasOwn(this.contracts, service)) return undefined;
    const operations = this.contracts[service] as ServiceContract;
    return Object.hasOwn(operations, operation) ? operations[operation] : undefined;
  }
}
