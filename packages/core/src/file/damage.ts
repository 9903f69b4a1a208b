import { OrchestratorError } from '../protocol/errors.js';

/** Where a file of a folder is damaged. */
export interface DamagePlace {
  /** Name of the file. */
  readonly file: string;
  /** Start of what cannot be read, bytes. Absent: the file as a whole is of no use. */
  readonly position?: number;
}

/** `internal_error` for files that are not as this program has left them. */
export class DamagedFolderError extends OrchestratorError {
  constructor(
    readonly place: DamagePlace,
    message: string,
    cause?: unknown,
  ) {
    super('internal_error', message, { cause });
  }
}
