import { Engine } from '../src/engine/engine.js';
import { type EngineSettings, EngineState } from '../src/engine/engine-state.js';
import { engineRecords } from '../src/engine/portable/export-engine.js';
import { EngineFiller } from '../src/engine/portable/engine-filler.js';
import { exportLines, type PortableRecord, readExport } from '../src/storage/index.js';

const EXPORTED_AT = '2026-01-31T10:00:00.000Z';

/** Every line of an export, with its break. */
export async function linesOf(
  records: AsyncIterable<PortableRecord> | Iterable<PortableRecord>,
): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of exportLines(eachOf(records), EXPORTED_AT)) lines.push(line);
  return lines;
}

async function* eachOf<T>(items: AsyncIterable<T> | Iterable<T>): AsyncGenerator<T> {
  yield* items;
}

/** The records of the lines of an export, in chunks that end anywhere. */
export async function recordsOf(lines: readonly string[], chunkBytes = 1_000): Promise<PortableRecord[]> {
  const bytes = Buffer.from(lines.join(''));
  const records: PortableRecord[] = [];
  async function* chunks() {
    for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes);
  }
  for await (const record of readExport(chunks())) records.push(record);
  return records;
}

/** A new engine with the records. */
export function filled(records: Iterable<PortableRecord>, now: number, settings: EngineSettings): Engine {
  const engine = new Engine(new EngineState(settings));
  let tokens = 0;
  const filler = new EngineFiller(engine.state, now, () => `token-${(tokens += 1)}`);
  for (const record of records) filler.add(record);
  filler.end();
  return engine;
}

export function exportOf(engine: Engine, now: number): Iterable<PortableRecord> {
  return engineRecords(engine.state, now);
}

const LISTS = ['messages', 'items', 'steps', 'dropped', 'mailbox', 'signals', 'rows'] as const;
const OWNERS = ['kind', 'tenant_id', 'session_id', 'batch_id', 'task_id', 'day'] as const;

/** Pages of the same owner as one. */
function merged(records: readonly PortableRecord[]): PortableRecord[] {
  const whole: Record<string, unknown>[] = [];
  for (const record of records as unknown as readonly Record<string, unknown>[]) {
    const last = whole.at(-1);
    const isPage = LISTS.some((list) => Array.isArray(record[list]));
    if (!last || !isPage || !OWNERS.every((name) => last[name] === record[name])) {
      whole.push({ ...record });
      continue;
    }
    for (const list of LISTS)
      if (Array.isArray(record[list]))
        last[list] = [...((last[list] as unknown[] | undefined) ?? []), ...(record[list] as unknown[])];
  }
  return whole as unknown as PortableRecord[];
}

/** Fields of objects by name: storages write them in their own order. */
function inOrder(_: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/** Lines of an export, without what storages order in their own way. */
export function canonical(lines: readonly string[]): unknown[] {
  const records = merged(lines.slice(1, -1).map((line) => JSON.parse(line) as PortableRecord));
  const text = (value: unknown) => JSON.stringify(value, inOrder);
  const sorted = records.map((record) => {
    if (record.kind === 'journal') {
      const { signals, dropped } = record;
      return {
        ...record,
        ...(signals && { signals: signals.toSorted((a, b) => (a.id < b.id ? -1 : 1)) }),
        ...(dropped && { dropped: dropped.toSorted((a, b) => (a.call_id < b.call_id ? -1 : 1)) }),
      };
    }
    const byText = (a: unknown, b: unknown) => (text(a) < text(b) ? -1 : 1);
    if (record.kind === 'usage') return { ...record, rows: record.rows.toSorted(byText) };
    if (record.kind === 'usage_details') return { ...record, rows: record.rows.toSorted(byText) };
    return record;
  });
  const others: ReadonlySet<string> = new Set(['key', 'usage', 'usage_details']);
  const rank = ({ kind }: PortableRecord) => (others.has(kind) ? 1 : 0);
  const first = sorted.filter((record) => rank(record) === 0);
  const batches = (record: PortableRecord) => record.kind === 'batch' || record.kind === 'batch_items';
  return [
    ...first.filter((record) => !batches(record)),
    ...first.filter(batches).toSorted((a, b) => (text(a) < text(b) ? -1 : 1)),
    ...sorted.filter((record) => rank(record) === 1).toSorted((a, b) => (text(a) < text(b) ? -1 : 1)),
  ];
}
