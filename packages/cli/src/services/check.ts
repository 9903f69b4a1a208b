import type { Subject } from './subject.js';

/** What a check found. `warning`: it works, but less is promised than could be. */
export type Finding =
  | { readonly verdict: 'ok'; readonly note?: string }
  | { readonly verdict: 'warning'; readonly note: string }
  | { readonly verdict: 'failed'; readonly expected: string; readonly got: string }
  /** It could not be judged. */
  | { readonly verdict: 'skipped'; readonly note: string };

/** One thing that a service has to keep to. */
export interface Check {
  /** Lower-case words with `-`: what people and scripts know it by. */
  readonly name: string;
  /** What a good service does, in a sentence. */
  readonly about: string;
  /** The heading of docs/writing-a-service.md that says more, as in its link. */
  readonly section: Section;
  /** Checks without which this one can't be judged: when one has failed, this one is skipped. */
  readonly needs?: readonly string[];
  /** It is about operations that answer with a job. */
  readonly jobsOnly?: true;
  run(subject: Subject): Promise<Finding>;
}

/** Headings of docs/writing-a-service.md; a test compares. */
export const SECTIONS = [
  'what-comes-in',
  'what-you-may-answer',
  'the-same-call-again',
  'notifications',
  'over-http-instead',
  'when-the-link-is-lost',
  'when-nobody-waits-any-more',
] as const;
export type Section = (typeof SECTIONS)[number];

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
