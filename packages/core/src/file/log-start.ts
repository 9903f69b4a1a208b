import type { EngineSettings } from '../engine/engine-state.js';
import type { Disk } from './disk.js';
import { type FolderState, logName } from './folder-state.js';
import { writeHead } from './log-entries.js';
import { type Durability, LogWriter } from './log-writer.js';

/** The last log of a folder, with its head. */
export async function continueLog(
  disk: Disk,
  { log, position, previousEnd }: FolderState,
  { settings, durability }: { readonly settings: EngineSettings; readonly durability: Durability },
): Promise<LogWriter> {
  const file = await disk.open(logName(log));
  try {
    await file.truncate(position);
    const writer = new LogWriter({ file, position, durability });
    if (position > 0) return writer;
    await writer.append([writeHead(previousEnd === undefined ? { settings } : { previousEnd })]);
    await writer.sync();
    await disk.sync();
    return writer;
  } catch (error) {
    await file.close().catch(() => undefined);
    throw error;
  }
}
