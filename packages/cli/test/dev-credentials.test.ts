import { execFileSync } from 'node:child_process';
import { chown, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { connect } from '../src/client/connection.js';
import { DEFAULT_URL, readSettings } from '../src/settings/settings.js';

const DEV = { url: 'http://127.0.0.1:8123', apiKey: 'key-of-dev', pid: process.pid };

async function folder(dev?: object, config?: object): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'credentials-'));
  onTestFinished(() => rm(path, { recursive: true }));
  await mkdir(join(path, '.orchestrator'));
  if (dev) await writeFile(join(path, '.orchestrator', 'dev.json'), JSON.stringify(dev));
  if (config) await writeFile(join(path, 'orchestrator.config.json'), JSON.stringify(config));
  return path;
}

describe('the credentials file of dev', () => {
  it('is used while its process runs', async () => {
    const { url, apiKey } = await connect({}, await folder(DEV));
    expect({ url, apiKey }).toEqual({ url: DEV.url, apiKey: DEV.apiKey });
  });

  it.each([
    ['of a server elsewhere', { ...DEV, url: 'http://192.0.2.1:8123' }],
    ['of a name that begins like this machine', { ...DEV, url: 'http://localhost.example.com' }],
    ['of a process that is gone', { ...DEV, pid: 2 ** 30 }],
    ['without a process', { url: DEV.url, apiKey: DEV.apiKey }],
  ])('is not used: %s', async (_, dev) => {
    expect((await connect({}, await folder(dev))).apiKey).toBeUndefined();
  });
});

describe('an invalid credentials file of dev', () => {
  it.skipIf(process.platform === 'win32').each([
    ['a pipe without a writer', (path: string) => void execFileSync('mkfifo', [path])],
    ['a device that never ends', (path: string) => symlink('/dev/zero', path)],
    ['a folder', (path: string) => mkdir(path)],
    [
      'a file without an end in sight',
      (path: string) => writeFile(path, JSON.stringify({ ...DEV, pad: 'x'.repeat(20_000) })),
    ],
  ])('counts as absent: %s', async (_, make) => {
    const cwd = await folder();
    await make(join(cwd, '.orchestrator', 'dev.json'));
    expect((await connect({}, cwd)).apiKey).toBeUndefined();
  });

  it.skipIf(process.getuid?.() !== 0)('counts as absent when it belongs to another user', async () => {
    const cwd = await folder(DEV);
    await chown(join(cwd, '.orchestrator', 'dev.json'), 65_534, 65_534);
    expect((await connect({}, cwd)).apiKey).toBeUndefined();
  });
});

describe('an API key of the environment', () => {
  const read = async (
    env: Record<string, string>,
    flags: { url?: string; config?: string } = {},
    config?: object,
  ) => {
    const cwd = await folder(undefined, config);
    return connect(await readSettings(flags, { ORCHESTRATOR_API_KEY: 'key-of-me', ...env }, cwd), cwd);
  };

  it('is sent to the URL beside it, or without one to that of a flag', async () => {
    const there = { ORCHESTRATOR_URL: 'https://a.example' };
    expect((await read(there)).apiKey).toBe('key-of-me');
    expect((await read({}, { url: 'https://b.example' })).apiKey).toBe('key-of-me');
    await expect(read(there, { url: 'https://b.example' })).rejects.toThrow('belongs to https://a.example');
  });

  it.each(['https://evil.example', 'http://127.0.0.1:9000', 'http://localhost:9000', 'http://[::1]:8000'])(
    'is not sent to %s of a config file merely present in the folder',
    async (url) => {
      await expect(read({}, {}, { url })).rejects.toThrow(`is not sent to ${url}`);
      expect((await read({ ORCHESTRATOR_URL: url }, {}, { url: 'https://b.example' })).url).toBe(url);
    },
  );

  it('is sent to the default URL, or to that of a config file that was named', async () => {
    const { url, apiKey } = await read({});
    expect({ url, apiKey }).toEqual({ url: DEFAULT_URL, apiKey: 'key-of-me' });
    expect((await read({}, {}, { url: DEFAULT_URL })).apiKey).toBe('key-of-me');
    const named = { config: 'orchestrator.config.json' };
    expect((await read({}, named, { url: 'https://b.example' })).apiKey).toBe('key-of-me');
  });

  it('is not sent to the dev of the current folder, which has its own key', async () => {
    const cwd = await folder(DEV);
    const settings = await readSettings({}, { ORCHESTRATOR_API_KEY: 'key-of-me' }, cwd);
    expect(await connect(settings, cwd)).toMatchObject({ url: DEV.url, apiKey: DEV.apiKey });
  });
});
