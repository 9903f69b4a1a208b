import { readFile, writeFile } from 'node:fs/promises';
import { gunzipSync, gzipSync } from 'node:zlib';
import { runCase, storageConformance, titleOf } from '../../src/conformance/index.js';
import { FileStorage } from '../../src/file/file-storage.js';
import type { Storage } from '../../src/index.js';
import { ManualClock } from '../harness.js';
import { MemoryDisk } from './memory-disk.js';

/** A folder as a version has left it, and what was read of it then. */
export interface GoldenFolder {
  readonly title: string;
  /** Clock at the end, epoch ms. */
  readonly now: number;
  readonly limits: Readonly<Record<string, number>>;
  /** Content by name, base64. */
  readonly files: Readonly<Record<string, string>>;
  readonly reads: unknown;
}

/** Cases whose folder is larger are no part: the file stays small. */
const MAX_FOLDER_BYTES = 30_000;
/** One of so many cases; the others are alike. */
const EACH = 3;
const SMALL_LOGS = 3_000;

const fileOf = (version: number) => new URL(`golden/version-${version}.json.gz`, import.meta.url);

export async function readGolden(version: number): Promise<readonly GoldenFolder[]> {
  return JSON.parse(gunzipSync(await readFile(fileOf(version))).toString()) as readonly GoldenFolder[];
}

/** Everything of a few tenants that callers can read, without cursors of this process. */
async function readAll(storage: Storage): Promise<unknown> {
  const { tenants } = await storage.tenants.list({ limit: 100 });
  const all = tenants.map(async (stats) => {
    const { tenantId } = stats;
    const tasks = await storage.tasks.list({ tenantId, filter: {}, limit: 100 });
    const sessions = await storage.sessions.list({ tenantId, limit: 100 });
    const { events } = await storage.events.read({ tenantId, after: 'none:0', limit: 500 });
    return { stats, tasks, sessions, events };
  });
  return { tenants: await Promise.all(all) };
}

/** Runs conformance cases on a disk, and stores what they leave behind when the process is killed. */
export async function writeGolden(version: number): Promise<void> {
  const folders: GoldenFolder[] = [];
  for (const [at, one] of storageConformance.entries()) {
    if (at % EACH !== 0) continue;
    const clock = new ManualClock();
    const disk = new MemoryDisk();
    const options = { clock, disk, limits: one.limits ?? {}, minLogBytes: SMALL_LOGS };
    const storage = await FileStorage.open('golden', options);
    await runCase(one, { storage, now: () => clock.now(), advance: (ms) => clock.advance(ms) });
    await storage.ping();
    const killed = disk.afterKill();
    const names = (await killed.list()).filter((name) => !name.startsWith('lock'));
    const contents = names.map((name) => [name, trimmed(killed.bytesOf(name))] as const);
    if (contents.reduce((sum, [, { length }]) => sum + length, 0) > MAX_FOLDER_BYTES) continue;
    const files = Object.fromEntries(contents.map(([name, content]) => [name, content.toString('base64')]));
    const limits = one.limits ?? {};
    const folder = { title: titleOf(one), now: clock.now(), limits, files };
    folders.push({ ...folder, reads: await readsOf(folder) });
  }
  await writeFile(fileOf(version), gzipSync(JSON.stringify(folders)));
}

export async function readsOf({ files, now, limits }: Omit<GoldenFolder, 'reads'>): Promise<unknown> {
  const disk = new MemoryDisk();
  for (const [name, content] of Object.entries(files)) disk.put(name, Buffer.from(content, 'base64'));
  const clock = new ManualClock(now);
  const options = { clock, disk, limits };
  const storage = await FileStorage.open('golden', options);
  try {
    return JSON.parse(JSON.stringify(await readAll(storage)));
  } finally {
    await storage.close();
  }
}

/** Without the reserved zeros. */
function trimmed(content: Buffer): Buffer {
  let end = content.length;
  while (end > 0 && content[end - 1] === 0) end -= 1;
  return content.subarray(0, end);
}
