import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { connect } from '../src/client/connection.js';
import { readSettings } from '../src/settings/settings.js';

const DEV = { url: 'http://127.0.0.1:8123', apiKey: 'key-of-dev', pid: process.pid };

async function folder(dev?: object, config?: object): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'credentials-'));
  onTestFinished(() => rm(path, { recursive: true }));
  await mkdir(join(path, '.orchestrator'));
  if (dev) await writeFile(join(path, '.orchestrator', 'dev.json'), JSON.stringify(dev));
  if (config) await writeFile(join(path, 'orchestrator.config.json'), JSON.stringify(config));
  return path;
}

describe('what a dev has left in a folder', () => {
  it('is taken when it runs', async () => {
    const { url, apiKey } = await connect({}, await folder(DEV));
    expect({ url, apiKey }).toEqual({ url: DEV.url, apiKey: DEV.apiKey });
  });

  it.each([
    ['of a server elsewhere', { ...DEV, url: 'http://192.0.2.1:8123' }],
    ['of a name that begins like this machine', { ...DEV, url: 'http://localhost.example.com' }],
    ['of a process that is gone', { ...DEV, pid: 2 ** 30 }],
    ['without a process', { url: DEV.url, apiKey: DEV.apiKey }],
  ])('is not taken: %s', async (_, dev) => {
    expect((await connect({}, await folder(dev))).apiKey).toBeUndefined();
  });
});

describe('a key of the environment', () => {
  const read = async (env: Record<string, string>, flags: { url?: string } = {}, config?: object) => {
    const cwd = await folder(undefined, config);
    return connect(await readSettings(flags, { ORCHESTRATOR_API_KEY: 'key-of-me', ...env }, cwd), cwd);
  };

  it('goes to the URL that stands beside it, or that a flag names where none does', async () => {
    const there = { ORCHESTRATOR_URL: 'https://a.example' };
    expect((await read(there)).apiKey).toBe('key-of-me');
    expect((await read({}, { url: 'https://b.example' })).apiKey).toBe('key-of-me');
    await expect(read(there, { url: 'https://b.example' })).rejects.toThrow('belongs to https://a.example');
  });

  it('does not go where a file says that lies in the folder, unless that is on this machine', async () => {
    await expect(read({}, {}, { url: 'https://evil.example' })).rejects.toThrow(
      'is not sent to https://evil',
    );
    expect((await read({}, {}, { url: 'http://127.0.0.1:9000' })).apiKey).toBe('key-of-me');
  });
});
