import type { PortableRecord } from './portable-records.js';

/** Params of `PortableState.exportRecords`. */
export interface ExportRecordsParams {
  readonly signal: AbortSignal;
}

/** Records of one export that is whole and in order. */
export interface ImportSource {
  /** Name of its content: the same export has the same name again. */
  readonly id: string;
  /** Each record is what `RecordChecker` accepts. A further call begins at the first one again. */
  records(): AsyncIterable<PortableRecord>;
}

/** Params of `PortableState.importRecords`. */
export interface ImportRecordsParams {
  readonly source: ImportSource;
  readonly signal: AbortSignal;
}

/**
 * The state of a storage that no process uses at the moment, as records that say nothing of how a storage keeps them.
 *
 * A tenant's records are together: tenant, sessions with their messages, batches, tasks with their journals, items of the
 * batches. Idempotency keys and usage follow behind the last tenant.
 */
export interface PortableState {
  /**
   * Everything in it. The storage must not change meanwhile.
   *
   * @throws {OrchestratorError} `conflict` while a process uses the storage.
   */
  exportRecords(params: ExportRecordsParams): AsyncIterable<PortableRecord>;
  /**
   * Fills an empty storage, at once or not at all. Event logs get a new epoch. Where it dies half-way, nothing is visible, and
   * the same source can be imported again.
   *
   * @throws {OrchestratorError} `conflict` for a storage that is not empty, or in use; `invalid_request` for a record that the
   *   storage cannot keep.
   */
  importRecords(params: ImportRecordsParams): Promise<void>;
  close(): Promise<void>;
}
