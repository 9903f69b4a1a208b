import { OrchestratorError } from '../protocol/errors.js';
import { messageOf } from '../protocol/thrown.js';
import { networkFileSystemOf } from './disk.js';
import type { FileName } from './log-reader.js';
import { isWithoutRoom } from './log-writer.js';

/** Locks and syncs of a network file system may not keep what they promise. */
export async function warnOfNetwork(where: string, onWarning?: (message: string) => void): Promise<void> {
  const name = await networkFileSystemOf(where);
  if (name === undefined) return;
  guarded(onWarning)(
    `${where}: expected a folder on a disk of this machine, got one on ${name}: another machine may open it too, and what is synced may be lost`,
  );
}

/** A handler of warnings that throws is no reason to stop. */
export function guarded(onWarning: (message: string) => void = warn): (message: string) => void {
  return (message) => {
    try {
      onWarning(message);
    } catch (error) {
      warn(`${message} (the handler of warnings has thrown: ${messageOf(error)})`);
    }
  };
}

function warn(message: string): void {
  process.emitWarning(message, 'AgentOrchestratorWarning');
}

/** Warning of a file whose end is cut off. */
export function cutEnd({ folder, name }: FileName, position: number): string {
  return `${folder}/${name}: the end behind byte ${position} was written in part, and is cut: it was never acknowledged, unless the disk has damaged it`;
}

/** Error of a folder with files of another kind. */
export function otherKind(where: string, expected: string, got: string): OrchestratorError {
  return new OrchestratorError(
    'invalid_request',
    `${where}: expected ${expected}, got ${got}: use another folder`,
  );
}

/** Error of a folder that cannot be opened. */
export function unusable(where: string, cause: unknown): OrchestratorError {
  if (isWithoutRoom(cause))
    return new OrchestratorError('storage_unavailable', `${where}: the disk has no room`, { cause });
  const { code } = cause as NodeJS.ErrnoException;
  if (code === undefined)
    return new OrchestratorError('internal_error', `${where}: ${messageOf(cause)}`, { cause });
  // Node's messages begin with the code.
  const message = `${where}: expected a folder to read and write, got ${messageOf(cause)}`;
  return new OrchestratorError('invalid_request', message, { cause });
}
