import { z } from 'zod';
import { DEFAULTS } from '../protocol/settings.js';
import { OrchestratorError } from '../protocol/errors.js';
import { idSchema, nameSchema } from '../protocol/ids.js';
import type { InProcessService } from '../protocol/service-call.js';
import type { CalledService, Sender, ServiceCacheSettings } from './call-stage.js';
import type { ContractCall, ServiceContract } from './contracts.js';
import { validate } from '../protocol/validation.js';

/** Limits of a service, in this process or over HTTP. */
interface CallLimits {
  /** Time limit of the whole HTTP response, or of the in-process function, whole ms; at most 30 days. Default 30 s. */
  readonly timeoutMs?: number | undefined;
  /** Maximum time without a notification after a 202, whole ms; at most 30 days. Default 60 s. */
  readonly silenceMs?: number | undefined;
  /** Maximum of concurrent calls per tenant in this process, at least 1. Default 64. */
  readonly concurrency?: number | undefined;
  /** Answers that are kept, and shared by all calls of a tenant with the same input. Default: none. */
  readonly cache?: ServiceCacheSettings | undefined;
}

/** A service in another process, called by `POST {url}/{operation}`. */
export interface HttpServiceSettings extends CallLimits {
  readonly url: string;
  /** Sent as `Authorization: Bearer`. */
  readonly token?: string | undefined;
}

/** An in-process service. */
export interface InProcessServiceSettings<K extends ServiceContract = ServiceContract>
  extends CallLimits, InProcessService<ContractCall<K>> {}

/** A service behind a sender of the host, for other protocols than HTTP. */
export interface SenderServiceSettings extends CallLimits {
  /** Sends one call within `timeoutMs`. A rejection is like that of an in-process service. */
  readonly send: Sender;
}

/** A service with the contract `K`; default: any operation. */
export type ServiceSettings<K extends ServiceContract = ServiceContract> =
  | HttpServiceSettings
  | InProcessServiceSettings<K>
  | SenderServiceSettings;

/** Bounded by the maximum time limit of a task. */
const durationSchema = z.number().int().min(1).max(DEFAULTS.maxTaskTimeoutMs);
/** Which answers of a service are cached. */
export const serviceCacheSchema = z.strictObject({
  operations: z.record(
    nameSchema,
    z.strictObject({ ttlMs: durationSchema.optional(), per: z.enum(['call', 'text']).optional() }),
  ),
});
const limits = {
  timeoutMs: durationSchema.default(DEFAULTS.callTimeoutMs),
  silenceMs: durationSchema.default(DEFAULTS.callSilenceMs),
  concurrency: z.number().int().min(1).default(64),
  cache: serviceCacheSchema.optional(),
};

const httpSchema = z.object({
  url: z.url({ protocol: /^https?$/, error: 'expected an http or https URL' }),
  token: z.string().min(1).optional(),
  ...limits,
});
const inProcessSchema = z.object({
  run: z.custom<InProcessService['run']>((run) => typeof run === 'function', 'expected a function'),
  ...limits,
});

const senderSchema = z.object({
  send: z.custom<Sender>((send) => typeof send === 'function', 'expected a function'),
  ...limits,
});

/** A service over HTTP, with validated settings. */
export interface HttpService extends CalledService {
  readonly in: 'http';
  readonly url: string;
  readonly token?: string | undefined;
}

/** A service in this process, with validated settings. */
export interface LocalService extends CalledService {
  readonly in: 'process';
  readonly run: InProcessService['run'];
}

/** A service behind a sender of the host, with validated settings. */
export interface SenderService extends CalledService {
  readonly in: 'sender';
  readonly send: Sender;
}

export type CheckedService = HttpService | LocalService | SenderService;

const KINDS = ['url', 'run', 'send'] as const;

/** @throws {OrchestratorError} `invalid_request`, naming the service and the setting. */
export function checkService(name: string, settings: ServiceSettings): CheckedService {
  validate(idSchema, name, 'service name');
  const what = `service "${name}"`;
  const kinds = KINDS.filter((kind) => kind in settings);
  if (kinds.length > 1) {
    throw new OrchestratorError(
      'invalid_request',
      `${what}: expected one of "url", "run" and "send", got ${kinds.map((kind) => `"${kind}"`).join(' and ')}`,
    );
  }
  if ('run' in settings) {
    // Not the checked function: it is a method that may need its object.
    const { run: _, ...checked } = validate(inProcessSchema, settings, what);
    return { name, in: 'process', ...checked, run: (call, options) => settings.run(call, options) };
  }
  if ('send' in settings) {
    const { send: _, ...checked } = validate(senderSchema, settings, what);
    return { name, in: 'sender', ...checked, send: (call) => settings.send(call) };
  }
  return { name, in: 'http', ...validate(httpSchema, settings, what) };
}
