import type { Storage } from '@agent-orchestrator/core';
import type { PortableState } from '@agent-orchestrator/core/storage';
import type { OwnSettings } from './own-settings.js';

export interface OpenStorageOptions {
  /** Ends the wait. */
  readonly signal: AbortSignal;
  /** Folder that paths are relative to. */
  readonly cwd: string;
  /** Called with what may lose data, such as settings of the storage's server. */
  readonly warn: (text: string) => void;
}

export interface InspectStorageOptions {
  readonly signal: AbortSignal;
  /** Time limit of the first answer, ms. */
  readonly waitMs?: number;
}

/** A storage as the settings name it: where it is and how it is opened. Reading the settings opens nothing. */
export interface StorageAddress {
  /** URL for messages, without secrets. */
  readonly label: string;
  /** Folder that it is in, as it was given. Absent: it is in none. */
  readonly folder?: string;
  /**
   * Opens it for an orchestrator, which closes it.
   *
   * @throws {OrchestratorError} `storage_unavailable` when it does not answer.
   * @throws {ConfigurationError} when it refuses the credentials, or would lose tasks.
   */
  open(options: OpenStorageOptions): Promise<Storage>;
  /**
   * Where a service of the local stack keeps its state beside this storage, as `SERVICE_STORAGE` has it.
   *
   * @param cwd folder that paths are relative to.
   */
  serviceStorage(service: string, cwd: string): string;
  /**
   * Opens what can be exported and imported while no process uses it. Absent: nothing outlives the process.
   *
   * @param cwd folder that paths are relative to.
   */
  readonly portable?: (cwd: string) => Promise<PortableState>;
  /** Opens it for an operator, beside the orchestrators that use it. Absent: one process has it to itself. */
  readonly inspect?: (options: InspectStorageOptions) => Promise<Storage>;
}

/** Whether several processes can use the storage at the same time. */
export function isShared({ inspect }: StorageAddress): boolean {
  return inspect !== undefined;
}

/** A kind of storage, chosen by the scheme of its URL. */
export interface StorageKind {
  readonly schemes: readonly string[];
  /** Form of the address, for error messages and help. */
  readonly form: string;
  /** `undefined` for anything else than an address of this kind. */
  read(value: unknown): StorageAddress | undefined;
  readonly own?: OwnSettings;
  /** An address with a password: itself when it has one, or is of another kind. */
  readonly withPassword?: (address: StorageAddress, password: string) => StorageAddress;
}
