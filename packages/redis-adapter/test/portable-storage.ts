import { randomUUID } from 'node:crypto';
import type { PortableRecord, PortableState } from '@agent-orchestrator/core/storage';
import { linesOf, recordsOf } from '../../core/test/portable-records.js';

const { signal } = new AbortController();

/** The lines of an export. */
export function exported(state: PortableState): Promise<string[]> {
  return linesOf(state.exportRecords({ signal }));
}

/** Imports the lines of an export, which are read and checked first. */
export async function imported(
  state: PortableState,
  lines: readonly string[],
  id: string = randomUUID(),
): Promise<void> {
  const records = await recordsOf(lines, 2 ** 16);
  await state.importRecords({ source: { id, records: () => each(records) }, signal });
}

async function* each(records: readonly PortableRecord[]): AsyncGenerator<PortableRecord> {
  yield* records;
}
