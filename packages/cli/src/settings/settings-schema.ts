import type { WorkflowContext, WorkflowDefinition } from '@agent-orchestrator/core';
import { isDefinition, priceTableSchema, ROLES, serviceCacheSchema } from '@agent-orchestrator/core/server';
import {
  idSchema,
  listSchema,
  MAX_RATE,
  type Scope,
  SCOPES,
  tenantPatchSchema,
  userIdSchema,
} from '@agent-orchestrator/core/protocol';
import { z } from 'zod';
import { storageSchema } from '../storage/storage-kinds.js';
import { logSchema } from './log-settings.js';

const TOKEN = /^[\x21-\x7e]{8,1024}$/;
const TOKEN_FORM = 'expected 8 to 1024 visible ASCII characters';
const URL_FORM = 'expected an http or https URL without user and password';
const PORT_FORM = 'expected a port, 0 to 65535';

const tokenSchema = z.string(TOKEN_FORM).regex(TOKEN, TOKEN_FORM);
const urlSchema = z
  .url({ protocol: /^https?$/, error: URL_FORM })
  .refine((text) => !URL.canParse(text) || new URL(text).username + new URL(text).password === '', URL_FORM);
/** Text when it comes from a flag or the environment. */
const portSchema = z
  .custom<number | string>((port) => /^\d{1,5}$/.test(String(port)) && Number(port) <= 65_535, PORT_FORM)
  .transform(Number);
const countSchema = z
  .number('expected a whole number from 1 on')
  .int()
  .min(1, 'expected a whole number from 1 on');

/** Text when it comes from a flag. */
const flagCountSchema = z
  .custom<number | string>(
    (count) => /^[1-9]\d{0,5}$/.test(String(count)),
    'expected a whole number from 1 to 999999',
  )
  .transform(Number);

/** One token of a service, or two during rotation. */
const tokensSchema = z
  .custom<string | string[]>((value) => {
    const tokens: unknown[] = [value].flat();
    const areTokens = tokens.every((token) => typeof token === 'string' && TOKEN.test(token));
    return areTokens && tokens.length > 0 && tokens.length <= 2;
  }, `${TOKEN_FORM}, or an array of two such tokens at most`)
  .transform((tokens) => [tokens].flat());

const SCOPES_FORM = `expected some of ${SCOPES.join(', ')}`;

/** Tenant, rights and user of an API key. */
const keyHolderSchema = z.strictObject(
  {
    tenant: idSchema,
    scopes: listSchema(z.enum(SCOPES, SCOPES_FORM), { min: 1, max: SCOPES.length }).optional(),
    user_id: userIdSchema.optional(),
  },
  'expected a tenant, or an object of tenant, scopes and user_id',
);

/** A tenant alone has all rights. */
const apiKeySchema = z
  .custom<string | { tenant: string; scopes?: Scope[]; user_id?: string }>(() => true)
  .transform((holder): unknown => (typeof holder === 'string' ? { tenant: holder } : holder))
  .pipe(keyHolderSchema);

const apiKeysSchema = z
  .record(z.string(), apiKeySchema, 'expected an object of keys and whose they are')
  .refine((keys) => Object.keys(keys).every((key) => TOKEN.test(key)), `${TOKEN_FORM} as key`);

const serviceSchema = z.strictObject({
  url: urlSchema,
  token: tokenSchema.optional(),
  timeoutMs: countSchema.optional(),
  silenceMs: countSchema.optional(),
  concurrency: countSchema.optional(),
  cache: serviceCacheSchema.optional(),
});

/**
 * A workflow of a config file. The compiler compares the parameters of a method in both directions: so a function may say what
 * its input is, which is `unknown` otherwise.
 */
export type ConfigWorkflow =
  | { run(ctx: WorkflowContext, input: unknown): unknown }['run']
  | WorkflowDefinition;

const workflowSchema = z.custom<ConfigWorkflow>(
  (value) => typeof value === 'function' || isDefinition(value),
  'expected a function, or what defineWorkflow returns',
);

const RATE_FORM = `expected a whole number from 1 to ${MAX_RATE}`;
const rateSchema = z.number(RATE_FORM).int(RATE_FORM).min(1, RATE_FORM).max(MAX_RATE, RATE_FORM);
const LIMIT_FORM = 'expected { perMinute, burst? }, or false for no limit';
const limitSchema = z
  .union([
    z.literal(false, LIMIT_FORM),
    z.strictObject({ perMinute: rateSchema, burst: rateSchema.optional() }, LIMIT_FORM),
  ])
  .optional();

/** Limits of requests; those of a server that are not given are these. */
const DEFAULT_TENANT_RATE = { perMinute: 6_000, burst: 1_000 };
const DEFAULT_FAILED_LOGINS = { perMinute: 30, burst: 30 };
const ratesSchema = z
  .strictObject({
    tenant: limitSchema.default(DEFAULT_TENANT_RATE),
    credential: limitSchema,
    address: limitSchema,
    failedLogins: limitSchema.default(DEFAULT_FAILED_LOGINS),
  })
  .default({ tenant: DEFAULT_TENANT_RATE, failedLogins: DEFAULT_FAILED_LOGINS });

function byId<T extends z.ZodType>(schema: T) {
  const form = 'expected names of letters, digits, "_", "." or "-", 64 at most';
  return z
    .record(z.string(), schema)
    .refine((named) => Object.keys(named).every((name) => idSchema.safeParse(name).success), form);
}

/** Schema of the config file, without the settings of single kinds of storage; flags and environment set the same fields. */
export const settingsSchema = z.strictObject({
  /** Default: the `dev` running in this folder, else the default port of this machine. */
  url: urlSchema.optional(),
  host: z
    .string()
    .regex(/^[A-Za-z0-9.:-]+$/, 'expected a host name or an IP address')
    .default('127.0.0.1'),
  port: portSchema.default(8000),
  /** Tenant by API key, or an object with its `scopes` and `user_id`. */
  apiKeys: apiKeysSchema.default({}),
  serviceTokens: byId(tokensSchema).default({}),
  apiKey: tokenSchema.optional(),
  operatorToken: tokenSchema.optional(),
  operatorReadToken: tokenSchema.optional(),
  llm: z
    .strictObject({
      url: urlSchema,
      key: z.string().min(1).optional(),
      model: z.string().min(1).default('default'),
    })
    .optional(),
  allowedOrigins: listSchema(z.string(), { max: 1_000 }).default([]),
  /** Limits of requests. `false`: none. */
  rates: ratesSchema,
  /** Prices of models for a million tokens, `*` for all others: usage has a cost then. */
  prices: priceTableSchema.default({}),
  /** Settings of tenants, as `PATCH /admin/v1/tenants/{tenant}` takes them. They are set at each start. */
  tenants: byId(tenantPatchSchema).default({}),
  /** Number of trusted reverse proxies in front, which append to `X-Forwarded-For`. */
  trustedProxies: z
    .number('expected a whole number from 0 on')
    .int()
    .min(0, 'expected a whole number from 0 on')
    .default(0),
  agentsFile: z.string().min(1).optional(),
  concurrency: flagCountSchema.optional(),
  log: logSchema.default({}),
  /** URL. Default: `file:.orchestrator/data`. */
  storage: storageSchema.optional(),
  /** `api` serves clients and services, `worker` runs tasks, `all` does both. */
  role: z.enum(ROLES, `expected ${ROLES.join(', ')}`).default('all'),
  services: byId(serviceSchema).default({}),
  /** A function, or a definition of this type, by type. */
  workflows: byId(workflowSchema)
    .default({})
    .refine(
      (workflows) =>
        Object.entries(workflows).every(([type, one]) => !isDefinition(one) || one.type === type),
      'expected each definition under its own type',
    ),
});
