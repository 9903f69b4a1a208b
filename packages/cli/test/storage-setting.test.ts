import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FileStorage } from '@agent-orchestrator/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EXIT } from '../src/errors/errors.js';
import { runCommandLine } from '../src/main.js';
import { readSettings, type SettingFlags } from '../src/settings/settings.js';
import { isShared } from '../src/storage/storage-kind.js';
import { type Folder, folder } from './cli-process.js';
import { fakeTerminal } from './fake-terminal.js';

let empty: Folder;

beforeAll(async () => {
  empty = await folder();
});
afterAll(() => empty[Symbol.asyncDispose]());

async function labelOf(
  flags: SettingFlags,
  env: Record<string, string> = {},
  content?: string,
): Promise<string> {
  await using place = await folder();
  if (content !== undefined) await writeFile(join(place.path, 'orchestrator.config.json'), content);
  return (await readSettings(flags, env, place.path)).storage.label;
}

const FILE = JSON.stringify({ storage: 'redis://file' });

describe('the storage of the settings', () => {
  it('is a folder unless one is named, and nothing else can use it', async () => {
    const { storage } = await readSettings({}, {}, empty.path);
    expect([storage.label, isShared(storage)]).toEqual(['file:.orchestrator/data', false]);
    const options = { signal: new AbortController().signal, cwd: empty.path, warn: () => {} };
    const opened = await storage.open(options);
    expect(opened).toBeInstanceOf(FileStorage);
    await expect(storage.open(options)).rejects.toThrow(
      new RegExp(
        `expected a folder that no other process uses, got one of process ${process.pid}, which is this one: close it first, .*--storage memory:`,
      ),
    );
    await opened.close();
    expect(await readdir(join(empty.path, '.orchestrator', 'data'))).toContain('snapshot-2');
  });

  it.each<[SettingFlags, Record<string, string>, string | undefined, string]>([
    [{ storage: 'memory:' }, {}, undefined, 'memory:'],
    [{ storage: 'redis://flag' }, {}, undefined, 'redis://flag:6379'],
    [{ storage: 'redis://flag' }, { ORCHESTRATOR_STORAGE: 'redis://env' }, FILE, 'redis://flag:6379'],
    [{}, { ORCHESTRATOR_STORAGE: 'redis://env' }, FILE, 'redis://env:6379'],
    [{}, {}, FILE, 'redis://file:6379'],
    // A setting of one kind has the precedence of the place where it is given.
    [{ storage: 'memory:' }, { ORCHESTRATOR_REDIS_URL: 'redis://env' }, FILE, 'memory:'],
    [{ redis: 'redis://flag' }, { ORCHESTRATOR_STORAGE: 'memory:' }, FILE, 'redis://flag:6379'],
    [{}, { ORCHESTRATOR_REDIS_URL: 'redis://env' }, FILE, 'redis://env:6379'],
    // The same one twice is one.
    [{ storage: 'redis://same', redis: 'redis://same' }, {}, undefined, 'redis://same:6379'],
    // An empty variable counts as unset.
    [{}, { ORCHESTRATOR_STORAGE: '', ORCHESTRATOR_REDIS_URL: '' }, undefined, 'file:.orchestrator/data'],
    [{ storage: 'file:data' }, { ORCHESTRATOR_STORAGE: 'memory:' }, undefined, 'file:data'],
    [{ storage: 'file:///var/data%20x' }, {}, undefined, 'file:/var/data x'],
  ])('%j %j %s is %s', async (flags, env, content, label) => {
    expect(await labelOf(flags, env, content)).toBe(label);
  });

  it.each<[SettingFlags, Record<string, string>, string | undefined, RegExp]>([
    [
      { storage: 'memory:', redis: 'redis://h' },
      {},
      undefined,
      /^expected one storage, got two .*: --storage and --redis$/,
    ],
    [
      {},
      { ORCHESTRATOR_STORAGE: 'memory:', ORCHESTRATOR_REDIS_URL: 'redis://h' },
      undefined,
      /: ORCHESTRATOR_STORAGE and ORCHESTRATOR_REDIS_URL$/,
    ],
    [
      {},
      {},
      '{ "storage": "memory:", "redis": { "nodes": ["h"] } }',
      /config\.json, storage and .*config\.json, redis$/,
    ],
    [
      { storage: 'postgres://h/db' },
      {},
      undefined,
      /^--storage: expected file:<folder>, or memory:, or redis:\/\/.*, got "postgres:\/\/h\/db"$/,
    ],
    [{ storage: 'postgres://me:hunter2@h' }, {}, undefined, /^--storage: .* got something else$/],
    // Without "@host" a password looks like a port.
    [{ storage: 'redis://u:hunter2' }, {}, undefined, /^--storage: .* got something else$/],
    [{ storage: 'memory:x' }, {}, undefined, /^--storage: expected memory:, got/],
    [{ storage: 'redis://h/x' }, {}, undefined, /^--storage: expected redis:\/\//],
    [{ storage: 'nothing' }, {}, undefined, /^--storage: expected file:<folder>, or memory:, or redis:/],
    [{ storage: 'memory' }, {}, undefined, /^--storage: .* \(such as memory:\), got something else$/],
    [{ storage: './data' }, {}, undefined, /^--storage: .* \(such as file:\.\/data\), got something else$/],
    [{ storage: 'file:' }, {}, undefined, /^--storage: expected file:<folder>, got/],
    [{ storage: 'file://host/data' }, {}, undefined, /^--storage: expected file:<folder>, got/],
    [{ redis: 'memory:' }, {}, undefined, /^--redis: expected redis:\/\//],
    [{}, {}, '{ "storage": 7 }', /config\.json, storage: expected file:<folder>, or memory:, or redis:/],
    [{}, {}, '{ "storage": "" }', /config\.json, storage: expected file:<folder>, or memory:, or redis:/],
  ])('%j %j %s is refused', async (flags, env, content, message) => {
    await expect(labelOf(flags, env, content)).rejects.toThrow(message);
  });
});

describe('a storage that one process has to itself', () => {
  const run = async (args: readonly string[], env: Readonly<Record<string, string>> = {}) => {
    const { terminal, stderr } = fakeTerminal({ cwd: empty.path, env });
    return { code: await runCommandLine(args, terminal, new AbortController().signal), stderr: stderr() };
  };

  it.each([[['queues', 'list']], [['tenants', 'list']], [['tail', '--system']]])(
    'cannot be looked into by operators: %j --storage memory:',
    async (args) => {
      const { code, stderr } = await run([...args, '--storage', 'memory:']);
      expect(code).toBe(EXIT.badConfiguration);
      expect(stderr).toMatch(
        /expected one in --storage <url>, ORCHESTRATOR_STORAGE .*, got (?:memory:|file:)/,
      );
    },
  );

  it.each<[readonly string[], Record<string, string>, string]>([
    [['check'], { ORCHESTRATOR_STORAGE: 'file:other' }, 'other: expected a folder of a storage, got none'],
    [['repair'], { ORCHESTRATOR_STORAGE: 'file:other' }, 'other: expected a folder of a storage, got none'],
    [
      ['check', 'data'],
      { ORCHESTRATOR_STORAGE: 'memory:' },
      'data: expected a folder of a storage, got none',
    ],
    [['check'], { ORCHESTRATOR_STORAGE: 'redis://h' }, 'expected a folder, as the storage of the settings'],
  ])('is checked where the settings have it: storage %j %j', async (args, env, message) => {
    const { code, stderr } = await run(['storage', ...args], env);
    expect([code, stderr]).toEqual([EXIT.badConfiguration, expect.stringContaining(message)]);
  });

  it('is reached by operators through its server', async () => {
    const env = { ORCHESTRATOR_STORAGE: 'memory:', ORCHESTRATOR_URL: 'http://127.0.0.1:1' };
    const { code, stderr } = await run(['queues', 'list'], env);
    expect(code).toBe(EXIT.unreachable);
    expect(stderr).toContain('no orchestrator answers at http://127.0.0.1:1');
  });

  it.each(['api', 'worker'])('is nothing for the role %s', async (role) => {
    const { code, stderr } = await run(['serve', '--role', role, '--storage', 'memory:']);
    expect(code).toBe(EXIT.badConfiguration);
    expect(stderr).toMatch(/expected one in --storage <url> or ORCHESTRATOR_STORAGE, got memory:/);
  });
});

describe('a folder that a storage cannot use', () => {
  const serve = async (args: readonly string[], cwd: string) => {
    const { terminal, stderr } = fakeTerminal({ cwd });
    return { code: await runCommandLine(args, terminal, new AbortController().signal), stderr: stderr() };
  };

  it('ends the start with what to do', async () => {
    await using place = await folder();
    await writeFile(join(place.path, 'file'), 'text');
    const taken = await serve(['dev', '--port', '0', '--storage', 'file:file'], place.path);
    expect(taken.code).toBe(EXIT.badConfiguration);
    expect(taken.stderr).toMatch(
      /file: expected a folder to read and write, got E\w+.*--storage file:<folder>/,
    );
    await mkdir(join(place.path, 'data'));
    await writeFile(join(place.path, 'data', 'log-1'), 'not a log, but long enough to be one');
    const damaged = await serve(['dev', '--port', '0', '--storage', 'file:data'], place.path);
    expect(damaged.code).toBe(EXIT.badConfiguration);
    expect(damaged.stderr).toMatch(
      /log-1: expected a file of this storage, got one of another program .*storage check/,
    );
    expect(await readFile(join(place.path, 'data', 'log-1'), 'utf8')).toMatch(/^not a log/);
  });
});
