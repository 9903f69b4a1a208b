import { z } from 'zod';
import { OrchestratorError } from './errors.js';
import { describe } from './validation.js';

/** Number of items of a page: without a `limit`, and at most. */
export interface PageSize {
  readonly default: number;
  readonly max: number;
}

/** The sizes of all pages. A page may have fewer items: it is also bounded by bytes, see `DEFAULTS.pageBytes`. */
export const PAGE_SIZES = {
  /** Tasks, sessions and messages of a tenant, in this process. */
  tenant: { default: 50, max: 500 },
  /** The same over HTTP. */
  http: { default: 50, max: 200 },
  /** Tenants, for operators. */
  tenants: { default: 100, max: 1_000 },
} as const satisfies Readonly<Record<string, PageSize>>;
/** Events that a follower of a log reads at a time. */
export const EVENTS_PER_READ = 500;
/** Maximum `limit` of any page of a storage. */
export const MAX_STORAGE_PAGE = 1_000_000;

/**
 * A page of a list. Lists of the API and of HTTP return `next` if there is more, and take it as `cursor`; the ports of a
 * storage call it `after`. Messages, whose pages go back in time, have `before` instead.
 */
export interface PageOptions {
  readonly limit?: number | undefined;
  /** The `next` of the previous page. */
  readonly cursor?: string | undefined;
}

/**
 * The limit of a page: `limit`, or the default of the size.
 *
 * @throws {OrchestratorError} `invalid_request` for a `limit` outside of the size.
 */
export function pageLimit({ default: usual, max }: PageSize, limit: number = usual): number {
  if (Number.isInteger(limit) && limit >= 1 && limit <= max) return limit;
  throw new OrchestratorError('invalid_request', `limit: expected 1 to ${max}, got ${describe(limit)}`);
}

/** Position of a task or of an item of a batch, as a cursor. */
export const PAGE_CURSOR = /^\d{1,15}$/;
export const pageCursorSchema = z.string().regex(PAGE_CURSOR, 'expected the "next" of a page');

/** `limit` of a query over HTTP. */
const limitQuerySchema = z
  .string()
  .regex(/^\d{1,9}$/, 'expected a whole number')
  .transform(Number)
  .pipe(
    z
      .number()
      .min(1, 'expected at least 1')
      .max(PAGE_SIZES.http.max, `expected at most ${PAGE_SIZES.http.max}`),
  )
  .default(PAGE_SIZES.http.default);

/** Longest cursor that is read. The list itself decides whether it knows the cursor. */
const MAX_CURSOR = 500;

/** Fields of a query for a page over HTTP. */
export const pageQuery = {
  limit: limitQuerySchema,
  cursor: z.string().min(1).max(MAX_CURSOR).optional(),
} as const;

/** The same for messages: those before a `message_id`. */
export const messagesQuery = {
  limit: limitQuerySchema,
  before: z.string().min(1).max(200).optional(),
} as const;
