import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FileStorage } from '@agent-orchestrator/core';
import { RedisServer } from '@agent-orchestrator/test-servers';
import { describe, expect, it } from 'vitest';
import { cli, firstRecord, folder, records } from './cli-process.js';

async function withTasks(path: string, tasks: number): Promise<void> {
  const storage = await FileStorage.open(path);
  for (let n = 0; n < tasks; n += 1) {
    const task = {
      task_id: `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`,
      type: 'work',
      priority: 4,
      payload: { n },
      metadata: {},
      timeoutMs: 60_000,
      maxAttempts: 3,
    };
    const submission = { task, onBusy: 'enqueue' } as const;
    await storage.tasks.submit({ tenantId: 'acme', submission, maxWaiting: 1_000 });
  }
  await storage.close();
}

describe('storage export and import', () => {
  it('move a storage from one folder to another', async () => {
    await using place = await folder();
    await withTasks(join(place.path, 'old'), 3);
    const exported = await cli(['--json', 'storage', 'export', 'all.jsonl', '--storage', 'file:old'], {
      cwd: place.path,
    });
    expect(exported).toMatchObject({ code: 0, stderr: '' });
    const counts = { tenants: 1, sessions: 0, messages: 0, tasks: 3, steps: 0, batches: 0, keys: 0 };
    expect(firstRecord(exported.stdout)).toEqual({
      file: join(place.path, 'all.jsonl'),
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
      counts,
    });
    expect((await readdir(place.path)).toSorted()).toEqual(['all.jsonl', 'old']);
    const imported = await cli(['storage', 'import', 'all.jsonl', '--storage', 'file:new'], {
      cwd: place.path,
    });
    expect(imported).toEqual({
      code: 0,
      stdout: '',
      stderr: '1 tenant, 0 sessions, 3 tasks are in file:new now\n',
    });
    const checked = await cli(['--json', 'storage', 'check', 'new'], { cwd: place.path });
    expect(firstRecord(checked.stdout)).toMatchObject({ contents: { tenants: 1, sessions: 0, tasks: 3 } });
    const again = await cli(['storage', 'import', 'all.jsonl', '--storage', 'file:new'], { cwd: place.path });
    expect(again).toMatchObject({
      code: 78,
      stderr: expect.stringContaining('expected an empty storage') as string,
    });
  });

  it('pass everything through standard output and input, to Redis', async () => {
    await using redis = await RedisServer.start();
    const { url } = redis;
    await using place = await folder();
    await withTasks(join(place.path, 'old'), 2);
    const exported = await cli(['storage', 'export', '--storage', 'file:old'], { cwd: place.path });
    expect(records(exported.stdout).map(({ kind }) => kind)).toEqual([
      undefined,
      'tenant',
      'task',
      'task',
      'end',
    ]);
    const imported = await cli(['storage', 'import', '-', '--storage', url], { input: exported.stdout });
    expect(imported).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/^1 tenant, .* 2 tasks are in redis:/) as string,
    });
    const listed = await cli(['--json', 'queues', 'list', '--storage', url]);
    expect(firstRecord(listed.stdout)).toMatchObject({ tenant_id: 'acme', ready: 2 });
    const full = await cli(['storage', 'import', '-', '--storage', url], { input: exported.stdout });
    expect(full).toMatchObject({
      code: 78,
      stderr: expect.stringContaining('got one with tenants (1): acme') as string,
    });
  });

  it('refuse a Redis that would lose tasks', async () => {
    await using redis = await RedisServer.start({ args: ['--maxmemory-policy', 'allkeys-lru'] });
    await using place = await folder();
    await withTasks(join(place.path, 'old'), 1);
    const { stdout } = await cli(['storage', 'export', '--storage', 'file:old'], { cwd: place.path });
    const refused = await cli(['storage', 'import', '-', '--storage', redis.url], { input: stdout });
    expect(refused).toMatchObject({
      code: 78,
      stderr: expect.stringContaining('maxmemory-policy is allkeys-lru') as string,
    });
  });

  it('never overwrite a file, and leave none of an export that failed', async () => {
    await using place = await folder();
    await withTasks(join(place.path, 'old'), 1);
    await writeFile(join(place.path, 'mine'), 'mine');
    const taken = await cli(['storage', 'export', 'mine', '--storage', 'file:old'], { cwd: place.path });
    expect(taken).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('one that is there already') as string,
    });
    expect(await readFile(join(place.path, 'mine'), 'utf8')).toBe('mine');
    const none = await cli(['storage', 'export', 'other', '--storage', 'file:none'], { cwd: place.path });
    expect(none).toMatchObject({ code: 78, stdout: '' });
    expect((await readdir(place.path)).toSorted()).toEqual(['mine', 'old']);
  });

  it.each([
    ['no such file', undefined, 2, /^error: all\.jsonl: expected a file to read, got ENOENT\n$/],
    [
      'something else',
      'hello',
      2,
      /^error: all\.jsonl: line 1: expected an export of a storage, got something else\n$/,
    ],
    [
      'another version',
      '{"format":"agent-orchestrator.storage","version":9,"exported_at":""}\n',
      2,
      /line 1: expected version 1 of the format, which this program reads, got version 9\n$/,
    ],
    [
      'a file that was cut',
      '{"format":"agent-orchestrator.storage","version":1,"exported_at":""}\n',
      2,
      /expected a last line of kind "end", got none behind line 1: the export was cut\n$/,
    ],
  ])('refuse %s and store nothing', async (_, content, code, message) => {
    await using place = await folder();
    if (content !== undefined) await writeFile(join(place.path, 'all.jsonl'), content);
    const refused = await cli(['storage', 'import', 'all.jsonl', '--storage', 'file:new'], {
      cwd: place.path,
    });
    expect(refused).toMatchObject({ code, stdout: '', stderr: expect.stringMatching(message) as string });
    expect(await readdir(place.path)).not.toContain('new');
  });

  it.each([
    ['export', []],
    ['import', ['all.jsonl']],
  ])('%s refuses what ends with its process', async (command, rest) => {
    const refused = await cli(['storage', command, ...rest, '--storage', 'memory:']);
    expect(refused).toMatchObject({
      code: 78,
      stderr: 'error: --storage: expected a storage that outlives its process, got memory:\n',
    });
  });

  it('refuse a folder that a process uses', async () => {
    await using place = await folder();
    const storage = await FileStorage.open(place.path);
    const refused = await cli(['storage', 'export', '--storage', `file:${place.path}`]);
    expect(refused).toMatchObject({
      code: 78,
      stdout: '',
      stderr: expect.stringContaining(`got one of process ${process.pid}`) as string,
    });
    await storage.close();
  });
});
