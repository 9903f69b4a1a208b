import {
  type FileHandle,
  link,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  stat,
  statfs,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { dirname, join } from 'node:path';

/** An open file of a folder. Positions are bytes from its start. */
export interface DiskFile {
  size(): Promise<number>;
  /** Bytes read: fewer than the buffer holds only at the end of the file. */
  read(buffer: Buffer, position: number): Promise<number>;
  /** Bytes written, which may be fewer than given. */
  write(buffers: readonly Buffer[], position: number): Promise<number>;
  /** Resolves once everything written survives a loss of power. */
  sync(): Promise<void>;
  truncate(length: number): Promise<void>;
  close(): Promise<void>;
}

/** The part of a file system that a storage uses, in one folder. Errors are those of Node, with their `code`. */
export interface Disk {
  /** Opens a file for reading and writing; creates it if it does not exist. */
  open(name: string): Promise<DiskFile>;
  list(): Promise<readonly string[]>;
  readText(name: string): Promise<string>;
  /** Writes a file that does not exist yet. */
  create(name: string, text: string): Promise<void>;
  /** Gives a file a second name, in one step. @throws `EEXIST` when the name is taken. */
  link(name: string, to: string): Promise<void>;
  rename(name: string, to: string): Promise<void>;
  remove(name: string): Promise<void>;
  /**
   * Listens at a socket of this name while the process lives: a sign of life for processes that cannot see its number, such as
   * those of another container. Returns its end; `undefined` where there are no such sockets.
   */
  beacon(name: string): Promise<(() => Promise<void>) | undefined>;
  /** Whether a process listens at the socket; `true` if that cannot be found out. */
  answers(name: string): Promise<boolean>;
  /** Resolves once created, renamed and removed names survive a loss of power. */
  sync(): Promise<void>;
}

/** Network file systems by the number that `statfs` has for them. */
const NETWORK_FILE_SYSTEMS = new Map([
  [0x6969, 'NFS'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB'],
  [0x517b, 'SMB'],
  [0x5346414f, 'AFS'],
  [0x00c36400, 'Ceph'],
  [0x01021997, '9P'],
  [0x0bd00bd0, 'Lustre'],
]);

/** Name of the network file system that a folder is on; `undefined` for a disk, or where it is not known. */
export async function networkFileSystemOf(path: string): Promise<string | undefined> {
  const found = await statfs(path).catch(() => undefined);
  // Some platforms have it with a sign.
  return found && NETWORK_FILE_SYSTEMS.get(found.type >>> 0);
}

/** Folders and files are those of their user alone: they hold payloads and results. */
const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;

/** Node's own recursion does not end in a file system that has no new folders, such as `/proc`. */
async function createFolder(path: string): Promise<void> {
  const isThere = async () => (await stat(path).catch(() => undefined))?.isDirectory() === true;
  if (await isThere()) return;
  try {
    await mkdir(path, { mode: FOLDER_MODE });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const parent = dirname(path);
    // Another process may create it at the same time.
    if (code === 'EEXIST' && (await isThere())) return;
    if (code !== 'ENOENT' || parent === path) throw error;
    await createFolder(parent);
    await mkdir(path, { mode: FOLDER_MODE }).catch(async (again: unknown) => {
      if (!(await isThere())) throw again;
    });
  }
}

/** Opens a folder of the file system; creates it if it does not exist. */
export async function openFolder(path: string): Promise<Disk> {
  await createFolder(path);
  return {
    open: async (name) => fileOf(await openOrCreate(join(path, name))),
    list: () => readdir(path),
    readText: (name) => readFile(join(path, name), 'utf8'),
    create: (name, text) => writeFile(join(path, name), text, { flag: 'wx', mode: FILE_MODE }),
    link: (name, to) => link(join(path, name), join(path, to)),
    rename: (name, to) => rename(join(path, name), join(path, to)),
    remove: (name) => unlink(join(path, name)),
    beacon: (name) => listenIn(path, name),
    answers: (name) => answersIn(path, name),
    sync: () => syncFolder(path),
  };
}

/** A path to a name in an open folder: a socket's path has a hundred characters at most. */
const shortPath = (folder: FileHandle, name: string) => `/proc/self/fd/${folder.fd}/${name}`;

async function listenIn(path: string, name: string): Promise<(() => Promise<void>) | undefined> {
  if (process.platform !== 'linux') return undefined;
  const folder = await open(path, 'r');
  const server = createServer((socket) => socket.destroy());
  try {
    server.listen(shortPath(folder, name));
    await once(server, 'listening');
  } catch {
    // A file system without sockets.
    await folder.close();
    return undefined;
  }
  server.unref();
  return async () => {
    // It removes the socket.
    await new Promise((resolve) => server.close(resolve));
    await folder.close();
  };
}

async function answersIn(path: string, name: string): Promise<boolean> {
  if (process.platform !== 'linux') return true;
  const folder = await open(path, 'r');
  const socket = connect(shortPath(folder, name));
  try {
    await once(socket, 'connect');
    return true;
  } catch (error) {
    return !['ECONNREFUSED', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '');
  } finally {
    socket.destroy();
    await folder.close();
  }
}

async function openOrCreate(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r+');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return open(path, 'wx+', FILE_MODE);
  }
}

function fileOf(handle: FileHandle): DiskFile {
  return {
    size: async () => (await handle.stat()).size,
    read: async (buffer, position) => (await handle.read(buffer, 0, buffer.length, position)).bytesRead,
    write: async (buffers, position) => (await handle.writev(buffers, position)).bytesWritten,
    sync: () => handle.datasync(),
    truncate: (length) => handle.truncate(length),
    close: () => handle.close(),
  };
}

/** Windows has no folders to sync: there a rename is stored with the next sync of the file. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
