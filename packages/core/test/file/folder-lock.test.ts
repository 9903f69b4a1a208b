import { execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openFolder } from '../../src/file/disk.js';
import { FileStorage } from '../../src/file/file-storage.js';
import { FolderLock } from '../../src/file/folder-lock.js';
import { folder } from './folder.js';

const BUILT = new URL('../../dist/file/file-storage.js', import.meta.url).href;
/** Opens a folder, says so, and stays. */
const HOLDER = `
const { FileStorage } = await import(process.argv[1]);
await FileStorage.open(process.argv[2]);
console.log('open');
setInterval(() => {}, 1_000);
`;
const args = (path: string) => ['--input-type=module', '--eval', HOLDER, '--', BUILT, path];

/** A process that holds the folder. */
async function holder(path: string) {
  const child = spawn(process.execPath, args(path), { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  await new Promise((resolve) => child.stdout.once('data', resolve));
  return { pid: child.pid as number, kill: () => (child.kill('SIGKILL'), ended) };
}

const locksIn = async (path: string) => (await readdir(path)).filter((name) => name.startsWith('lock'));

describe('a folder', () => {
  it('belongs to one process: another one is refused, and told which', async () => {
    await using place = await folder();
    const { pid, kill } = await holder(place.path);
    await expect(FileStorage.open(place.path)).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining(
        `${place.path}: expected a folder that no other process uses, got one of process ${pid}`,
      ),
    });
    await kill();
    // The lock of a killed process counts no more.
    const storage = await FileStorage.open(place.path);
    await storage.close();
    expect(await locksIn(place.path)).toEqual([]);
  });

  it.runIf(process.platform === 'linux')(
    'belongs to a process of another container while it listens',
    async () => {
      await using place = await folder();
      const { kill } = await holder(place.path);
      const lock = join(place.path, 'lock-1');
      const held = JSON.parse(await readFile(lock, 'utf8')) as object;
      // Its number means nothing here: there is no such process, or it is this one.
      await writeFile(
        lock,
        JSON.stringify({ ...held, pid: process.pid, started: '1', namespace: 'pid:[1]' }),
      );
      await expect(FileStorage.open(place.path)).rejects.toMatchObject({
        code: 'conflict',
        message: expect.stringContaining('of another container'),
      });
      await kill();
      await (await FileStorage.open(place.path)).close();
      expect(await locksIn(place.path)).toEqual([]);
    },
  );

  it.runIf(process.platform === 'linux')(
    'is free after the end of a process that its parent does not ask about',
    async () => {
      await using place = await folder();
      // Without a shell that waits for its child, it stays among the processes.
      const parent = spawn(
        'sh',
        ['-c', '"$@" & echo "$!"; exec sleep 600', 'sh', process.execPath, ...args(place.path)],
        {
          stdio: ['ignore', 'pipe', 'inherit'],
        },
      );
      const ended = new Promise((resolve) => parent.once('exit', resolve));
      let said = '';
      parent.stdout.setEncoding('utf8').on('data', (text: string) => {
        said += text;
      });
      const pidOf = () => Number(/^(\d+)$/m.exec(said)?.[1]);
      onTestFinished(async () => {
        if (pidOf() > 0 && !said.includes('killed')) process.kill(pidOf(), 'SIGKILL');
        parent.kill('SIGKILL');
        await ended;
      });
      while (!(said.includes('open') && pidOf() > 0)) await new Promise((resolve) => setTimeout(resolve, 20));
      await expect(FileStorage.open(place.path)).rejects.toMatchObject({ code: 'conflict' });
      process.kill(pidOf(), 'SIGKILL');
      said += 'killed';
      // All its threads: the first one may end before the others.
      const isZombie = async () => {
        const text = await readFile(`/proc/${pidOf()}/stat`, 'utf8');
        const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
        return fields[0] === 'Z' && fields[17] === '1';
      };
      while (!(await isZombie())) await new Promise((resolve) => setTimeout(resolve, 20));
      await (await FileStorage.open(place.path)).close();
    },
  );

  it('has no files left of processes that ended while they opened it', async () => {
    await using place = await folder();
    const ended = `lock.${randomUUID()}`;
    await writeFile(join(place.path, ended), JSON.stringify({ pid: 2 ** 23 }));
    await (await FileStorage.open(place.path)).close();
    expect(await locksIn(place.path)).toEqual([]);
  });

  it('is not opened twice by one process, and again after its close', async () => {
    await using place = await folder();
    const storage = await FileStorage.open(place.path);
    await expect(FileStorage.open(place.path)).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining(`one of process ${process.pid}, which is this one: close it first`),
    });
    await storage.close();
    await (await FileStorage.open(place.path)).close();
  });

  it('is taken by one of many at the same time, whatever an ended one has left', async () => {
    await using place = await folder();
    const disk = await openFolder(place.path);
    for (let round = 0; round < 20; round += 1) {
      await writeFile(join(place.path, `lock-${1_000 * (round + 1)}`), JSON.stringify({ pid: 2 ** 23 }));
      const all = await Promise.allSettled(
        Array.from({ length: 8 }, () => FolderLock.take(disk, place.path)),
      );
      const taken = all.filter((one) => one.status === 'fulfilled');
      expect(taken.length).toBe(1);
      await taken[0]?.value.release();
      expect(await locksIn(place.path)).toEqual([]);
    }
  });

  it('is not taken from a process that took it, and was not seen, meanwhile', async () => {
    await using place = await folder();
    const disk = await openFolder(place.path);
    await writeFile(join(place.path, 'lock-1'), JSON.stringify({ pid: 2 ** 23 }));
    // Between the look at the ended lock and the next number another one comes and goes, and a third one stays.
    let raced = false;
    const late: typeof disk = {
      ...disk,
      link: async (name, to) => {
        if (!raced) {
          raced = true;
          await (await FolderLock.take(disk, place.path)).release();
          await FolderLock.take(disk, place.path);
        }
        await disk.link(name, to);
      },
    };
    await expect(FolderLock.take(late, place.path)).rejects.toMatchObject({ code: 'conflict' });
    expect((await locksIn(place.path)).filter((name) => name.startsWith('lock-'))).toEqual(['lock-1']);
  });

  it('is taken by one of many processes', async () => {
    await using place = await folder();
    const children = Array.from({ length: 4 }, () =>
      promisify(execFile)(process.execPath, args(place.path), { timeout: 0 }),
    );
    const failures: string[] = [];
    const ended = children.map((child) =>
      child.catch((error: unknown) => failures.push(String((error as { readonly stderr?: string }).stderr))),
    );
    onTestFinished(async () => {
      for (const { child } of children) child.kill('SIGKILL');
      await Promise.all(ended);
    });
    while (failures.length < 3) await new Promise((resolve) => setTimeout(resolve, 20));
    for (const failure of failures) expect(failure).toContain('expected a folder that no other process uses');
    expect(failures.length).toBe(3);
  });

  it.each(['', '{', '{"pid":1,"bo'])('with the damaged lock %j is free', async (content) => {
    await using place = await folder();
    await writeFile(join(place.path, 'lock-7'), content);
    await (await FileStorage.open(place.path)).close();
  });

  it.each(['{"pid":"one"}', 'null', '{"holders":[]}'])(
    'with the lock %j of another version is refused, and keeps it',
    async (content) => {
      await using place = await folder();
      await writeFile(join(place.path, 'lock-7'), content);
      await expect(FileStorage.open(place.path)).rejects.toMatchObject({
        code: 'conflict',
        message: expect.stringMatching(
          /lock-7: expected a lock of this version, .* remove the file$/,
        ) as string,
      });
      expect(await readdir(place.path)).toEqual(['lock-7']);
    },
  );

  it.runIf(process.platform === 'linux')(
    'that cannot be created is refused, where a file system has no new folders',
    async () => {
      for (const path of ['/proc/none', '/proc/none/below'])
        await expect(FileStorage.open(path)).rejects.toMatchObject({ code: 'invalid_request' });
    },
  );

  it('is created with the folders above it, by several at the same time', async () => {
    await using place = await folder();
    const path = join(place.path, 'a', 'b', 'c');
    await Promise.all(Array.from({ length: 20 }, () => openFolder(path)));
    expect((await stat(path)).mode & 0o777).toBe(0o700);
    expect((await stat(join(place.path, 'a'))).mode & 0o777).toBe(0o700);
  });

  it('that is a file, or below one, is refused', async () => {
    await using place = await folder();
    const path = join(place.path, 'file');
    await writeFile(path, 'text');
    for (const taken of [path, join(path, 'below')]) {
      await expect(FileStorage.open(taken)).rejects.toMatchObject({
        code: 'invalid_request',
        message: expect.stringMatching(/expected a folder to read and write, got (?:EEXIST|ENOTDIR)/),
      });
    }
  });
});
