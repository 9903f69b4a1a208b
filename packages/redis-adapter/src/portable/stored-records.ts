import { OrchestratorError } from '@agent-orchestrator/core';
import type { StoredState, StoredStep, TaskHeader } from '../tasks/task-codec.js';

/** A task's state with the fields that only scripts use. */
export interface WholeState extends StoredState {
  readonly resumes?: boolean;
  readonly queue_priority?: number;
  readonly redriven?: string;
  readonly expires?: number;
  readonly journal?: boolean;
  /** Bytes of outcomes, and of signals without a reader. */
  readonly bytes?: number;
  readonly mail?: number;
  readonly step_count?: number;
}

export interface WholeCall {
  readonly id: string;
  readonly state: 'sending' | 'waiting' | 'ended';
  readonly delay?: number;
  readonly job?: string;
  readonly ok?: boolean;
  /** Its usage is in the ledger. */
  readonly counted?: boolean;
  /** Fingerprint of its outcome. */
  readonly print?: string;
  readonly silent?: number;
  readonly seq?: string;
  readonly seen_messages?: readonly string[];
}

/** A call whose step was dropped by a retry. */
export interface DroppedCall extends WholeCall {
  readonly operation?: string;
  readonly service: string;
}

export interface WholeStep extends Omit<StoredStep, 'calls'> {
  readonly tries?: number;
  readonly signal?: string;
  readonly silence?: number | null;
  readonly calls?: readonly WholeCall[];
}

/** Header and payload of a task, which never change. */
export function readRecord(record: string): { readonly header: TaskHeader; readonly payload: string } {
  const end = record.indexOf('\n');
  return { header: JSON.parse(record.slice(0, end)) as TaskHeader, payload: record.slice(end + 1) };
}

/** First and second part of a text at a line break. */
export function twoParts(text: string, at = text.indexOf('\n')): readonly [string, string] {
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}

/** Key of the hash of a session, of the group of a batch, and of a part of a task. */
export interface TenantKeys {
  readonly meta: string;
  /** `<prefix>:tasks:{<tenant>}:` */
  readonly prefix: string;
  session(id: string): string;
  batch(id: string): string;
}

export function refuse(expected: string, got: string): never {
  throw new OrchestratorError('invalid_request', `expected ${expected}, got ${got}`);
}
