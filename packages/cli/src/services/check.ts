import type { Subject } from './subject.js';

/** Result of a check. `warning`: it works, with weaker guarantees than possible. */
export type Finding =
  | { readonly verdict: 'ok'; readonly note?: string }
  | { readonly verdict: 'warning'; readonly note: string }
  | { readonly verdict: 'failed'; readonly expected: string; readonly got: string }
  /** The check could not be evaluated. */
  | { readonly verdict: 'skipped'; readonly note: string };

/** One requirement on a service. */
export interface Check {
  /** Stable name: lower-case words with `-`. */
  readonly name: string;
  /** The requirement in a sentence. */
  readonly about: string;
  /** Heading of docs/writing-a-service.md, as in its link. */
  readonly section: Section;
  /** Prerequisites: when one has failed, this check is skipped. */
  readonly needs?: readonly string[];
  /** Applies only to operations that answer with a job. */
  readonly jobsOnly?: true;
  run(subject: Subject): Promise<Finding>;
}

/** Headings of docs/writing-a-service.md; a test compares. */
export const SECTIONS = [
  'requests',
  'responses',
  'repeated-calls',
  'notifications',
  'notifications-over-http',
  'lost-connections',
  'cancelled-jobs',
] as const;
type Section = (typeof SECTIONS)[number];

export function ok(note?: string): Finding {
  return { verdict: 'ok', ...(note !== undefined && { note }) };
}

export function warning(note: string): Finding {
  return { verdict: 'warning', note };
}

export function failed(expected: string, got: string): Finding {
  return { verdict: 'failed', expected, got };
}

export function skipped(note: string): Finding {
  return { verdict: 'skipped', note };
}
