import { type Batch, type JsonValue, type TaskError } from '@agent-orchestrator/core';
import { type BatchItem } from '@agent-orchestrator/core/protocol';
import { statusOf, type TaskState } from '@agent-orchestrator/core/protocol';
import { BoundedPage } from '@agent-orchestrator/core/storage';
import type { Reply } from '../scripts/script-runner.js';
import { stateOf } from './task-codec.js';

/** Maximum of items read by one script. */
const ITEMS_PER_STEP = 250;

type BatchTask = readonly [taskId: string, state: string, gone: string | null];
/** An item is its error, or a task: id, state, and its final status when it is no longer kept. */
type Entry = string | BatchTask;

/** A batch assembled from several reads: all its counts, and the items of one page. */
export class BatchView {
  readonly #counts = { pending: 0, processing: 0, completed: 0, failed: 0, cancelled: 0 };
  readonly #page: BoundedPage<BatchItem>;
  #read = 0;
  #total = 0;
  #createdAt = 0;
  /** First item after the page. */
  #next: number;
  #isOver = false;

  constructor(
    private readonly batchId: string,
    private readonly request: {
      readonly from: number;
      readonly results: boolean;
      readonly pageBytes: number;
    },
  ) {
    this.#page = new BoundedPage(Number.POSITIVE_INFINITY, request.pageBytes);
    this.#next = request.from;
  }

  /** Arguments of the next read. */
  get nextStretch(): readonly (string | number)[] {
    const { results, pageBytes } = this.request;
    const from = this.#isOver ? Number.MAX_SAFE_INTEGER : this.#next;
    return [this.#read, ITEMS_PER_STEP, from, results ? 1 : '', pageBytes];
  }

  /** Returns whether that was the last read. */
  add(reply: Reply): boolean {
    const [created, total, entries, tooMuch] = reply as [string, number, Entry[], number | null];
    this.#createdAt = Number(created);
    this.#total = total;
    for (const [at, entry] of entries.entries()) this.#addItem(entry, this.#read + at, tooMuch);
    this.#read += entries.length;
    return entries.length < ITEMS_PER_STEP || this.#read >= total;
  }

  #addItem(entry: Entry, index: number, tooMuch: number | null): void {
    const item = viewItem(entry, index, this.request.results);
    if (item.status) this.#counts[item.status] += 1;
    if (this.#isOver || index < this.#next) return;
    this.#isOver = index === tooMuch || !this.#page.take(item);
    if (!this.#isOver) this.#next = index + 1;
  }

  get batch(): Batch {
    return {
      batch_id: this.batchId,
      total: this.#total,
      created_at: new Date(this.#createdAt).toISOString(),
      counts: this.#counts,
      items: this.#page.items,
      ...(this.#next < this.#total && { next: String(this.#next) }),
    };
  }
}

function viewItem(entry: Entry, index: number, results: boolean): BatchItem {
  if (typeof entry === 'string') return { index, status: 'failed', error: JSON.parse(entry) as TaskError };
  const [task_id, text, gone] = entry;
  if (gone !== null) return { index, task_id, ...(gone !== '' && { status: statusOf(gone as TaskState) }) };
  const [header = '', outcome] = text.split('\n', 2);
  const { state } = header === '' ? { state: 'ready' as const } : stateOf(header);
  const status = statusOf(state);
  const value = outcome === undefined ? undefined : (JSON.parse(outcome) as JsonValue);
  return {
    index,
    task_id,
    status,
    ...(results && value !== undefined && status === 'completed' && { result: value }),
    ...(value !== undefined && status !== 'completed' && { error: value as unknown as TaskError }),
  };
}
