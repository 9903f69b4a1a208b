import { z } from 'zod';
import { DEFAULTS } from '../protocol/settings.js';
import { OrchestratorError } from '../protocol/errors.js';
import { idSchema } from '../protocol/ids.js';
import type { InProcessService } from '../protocol/service-call.js';
import { validate } from '../protocol/validation.js';

/** Limits of a service, in this process or over HTTP. */
interface CallLimits {
  /** Time limit of the whole HTTP response, or of the in-process function, whole ms; at most 30 days. Default 30 s. */
  readonly timeoutMs?: number | undefined;
  /** Maximum time without a notification after a 202, whole ms; at most 30 days. Default 60 s. */
  readonly silenceMs?: number | undefined;
  /** Maximum of concurrent calls per tenant in this process, at least 1. Default 64. */
  readonly concurrency?: number | undefined;
}

/** A service in another process, called by `POST {url}/{operation}`. */
export interface HttpServiceSettings extends CallLimits {
  readonly url: string;
  /** Sent as `Authorization: Bearer`. */
  readonly token?: string | undefined;
}

/** An in-process service. */
export interface InProcessServiceSettings extends CallLimits, InProcessService {}

export type ServiceSettings = HttpServiceSettings | InProcessServiceSettings;

/** Bounded by the maximum time limit of a task. */
const durationSchema = z.number().int().min(1).max(DEFAULTS.maxTaskTimeoutMs);
const limits = {
  timeoutMs: durationSchema.default(DEFAULTS.callTimeoutMs),
  silenceMs: durationSchema.default(DEFAULTS.callSilenceMs),
  concurrency: z.number().int().min(1).default(64),
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

/** Validated settings with defaults. */
export type CheckedService =
  | (z.output<typeof httpSchema> & { readonly name: string; readonly in: 'http' })
  | (z.output<typeof inProcessSchema> & { readonly name: string; readonly in: 'process' });

/** @throws {OrchestratorError} `invalid_request`, naming the service and the setting. */
export function checkService(name: string, settings: ServiceSettings): CheckedService {
  validate(idSchema, name, 'service name');
  if ('url' in settings && 'run' in settings) {
    throw new OrchestratorError(
      'invalid_request',
      `service "${name}": expected either "url" or "run", got both`,
    );
  }
  if ('run' in settings) {
    const { timeoutMs, silenceMs, concurrency } = validate(inProcessSchema, settings, `service "${name}"`);
    return {
      name,
      in: 'process',
      timeoutMs,
      silenceMs,
      concurrency,
      run: (call, options) => settings.run(call, options),
    };
  }
  return { name, in: 'http', ...validate(httpSchema, settings, `service "${name}"`) };
}
