import { resolve } from 'node:path';
import { FileStorage, OrchestratorError, type Storage } from '@agent-orchestrator/core';
import { folderOfUrl, PortableFolder } from '@agent-orchestrator/core/server';
import type { PortableState } from '@agent-orchestrator/core/storage';
import { ConfigurationError } from '../errors/errors.js';
import type { OpenStorageOptions, StorageAddress, StorageKind } from './storage-kind.js';

/** Storage of one process in a folder. */
export class FileAddress implements StorageAddress {
  readonly label: string;

  /** @param folder relative to the current folder, unless it is absolute. */
  constructor(readonly folder: string) {
    this.label = `file:${folder}`;
  }

  async open({ cwd, warn }: OpenStorageOptions): Promise<Storage> {
    try {
      return await FileStorage.open(resolve(cwd, this.folder), { onWarning: warn });
    } catch (error) {
      throw error instanceof OrchestratorError ? explained(error) : error;
    }
  }

  async portable(cwd: string): Promise<PortableState> {
    return new PortableFolder(resolve(cwd, this.folder));
  }

  serviceStorage(service: string, cwd: string): string {
    return `file:${resolve(cwd, this.folder, 'services', service)}`;
  }
}

/** What helps, besides waiting for a disk with room. */
function explained(error: OrchestratorError): Error {
  const helps: Partial<Record<OrchestratorError['code'], string>> = {
    conflict: 'with --storage file:<folder>, or --storage memory:, which keeps nothing',
    invalid_request: '(--storage file:<folder>)',
    internal_error: '(orchestrator-cli storage check <folder>)',
  };
  const help = helps[error.code];
  if (help === undefined) return error;
  return new ConfigurationError(`${error.message} ${help}`, { cause: error });
}

/** Where `dev` and `serve` store without another setting. */
export const DEFAULT_STORAGE = new FileAddress('.orchestrator/data');

export const fileKind: StorageKind = {
  schemes: ['file'],
  form: 'file:<folder>',
  read(value) {
    const folder = typeof value === 'string' ? folderOfUrl(value) : undefined;
    return folder === undefined ? undefined : new FileAddress(folder);
  },
};
