import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, it } from 'vitest';
import { askRedis, openTestRedis, RedisServer, sharedRedis } from '@agent-orchestrator/test-servers';
import { eventually, runs } from './eventually.js';

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  );

describe('RedisServer', () => {
  it('answers at its own port, persists nothing, and leaves no files', async () => {
    const server = await RedisServer.start();
    const { pid, dir } = server;
    expect(server.url).toBe(`redis://127.0.0.1:${server.port}`);
    expect(await server.ask(['SET', 'greeting', 'grüß dich\r\n'])).toBe('OK');
    expect(await server.ask(['GET', 'greeting'])).toBe('grüß dich\r\n');
    expect(await server.ask(['CONFIG', 'GET', 'save'])).toEqual(['save', '']);
    expect(await server.ask(['CONFIG', 'GET', 'appendonly'])).toEqual(['appendonly', 'no']);
    expect(await server.ask(['CONFIG', 'GET', 'bind'])).toEqual(['bind', '127.0.0.1']);
    expect(await server.info('redis_mode')).toBe('standalone');
    await expect(server.ask(['NONSENSE'])).rejects.toThrow('unknown command');
    await server.stop();
    await server.stop();
    expect(runs(pid)).toBe(false);
    expect(await exists(dir)).toBe(false);
    expect(server.isRunning).toBe(false);
    expect(() => server.pid).toThrow('does not run');
  });

  it('has arguments, which override the defaults', async () => {
    await using server = await RedisServer.start({
      args: ['--maxmemory', '10mb', '--requirepass', 'secret'],
    });
    await expect(server.ask(['PING'])).rejects.toThrow('NOAUTH');
  });

  it('fails to start with its own log in the error', async () => {
    await expect(RedisServer.start({ args: ['--no-such-setting', 'x'] })).rejects.toThrow(/no-such-setting/);
    await using first = await RedisServer.start();
    await expect(RedisServer.start({ port: first.port })).rejects.toThrow(/address already in use/i);
    await expect(RedisServer.start({ program: '/no/such/program' })).rejects.toThrow(/program/);
  });

  it('keeps its data after a kill with appendonly', async () => {
    await using server = await RedisServer.start({ appendonly: true });
    const { port, pid } = server;
    await server.ask(['SET', 'kept', 'yes']);
    await server.kill();
    expect(runs(pid)).toBe(false);
    await expect(server.ask(['PING'])).rejects.toThrow('ECONNREFUSED');
    await server.restart();
    expect(server.port).toBe(port);
    expect(server.pid).not.toBe(pid);
    expect(await server.ask(['GET', 'kept'])).toBe('yes');
  });

  it('loses its data after a kill without appendonly, and can be restarted while it runs', async () => {
    await using server = await RedisServer.start();
    await server.ask(['SET', 'kept', 'no']);
    await server.restart();
    expect(await server.ask(['GET', 'kept'])).toBe(null);
  });

  it('keeps files in the given folder', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'given-'));
    try {
      const first = await RedisServer.start({ dir, appendonly: true });
      await first.ask(['SET', 'kept', 'yes']);
      await first.stop();
      await using second = await RedisServer.start({ dir, appendonly: true });
      expect(await second.ask(['GET', 'kept'])).toBe('yes');
    } finally {
      await rm(dir, { recursive: true });
    }
  });

  it('does not answer while frozen, and can be stopped then', async () => {
    const server = await RedisServer.start();
    server.freeze();
    await expect(server.ask(['PING'], { timeoutMs: 100 })).rejects.toThrow('no answer within 100 ms');
    server.thaw();
    expect(await server.ask(['PING'])).toBe('PONG');
    server.freeze();
    const { pid } = server;
    await server.stop();
    expect(runs(pid)).toBe(false);
  });
});

describe.concurrent('the server of a process', () => {
  const DIST = new URL('../dist/index.js', import.meta.url).href;

  async function parent(program: string) {
    const code = `import * as servers from ${JSON.stringify(DIST)};\n${program}`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, TEST_REDIS_URL: '' },
    });
    const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
    return { child, ...(JSON.parse(line) as { pid: number; dir: string }) };
  }

  it.each([
    ['by SIGKILL', 'SIGKILL', 'setInterval(() => {}, 1000);'],
    ['by SIGTERM', 'SIGTERM', 'setInterval(() => {}, 1000);'],
    ['by SIGKILL, its server frozen', 'SIGKILL', 'server.freeze(); setInterval(() => {}, 1000);'],
  ] as const)('ends with its process %s', async (_, signal, then) => {
    const program = `const server = await servers.RedisServer.start();
      console.log(JSON.stringify({ pid: server.pid, dir: server.dir }));`;
    const { child, pid, dir } = await parent(`${program}${then}`);
    expect(runs(pid)).toBe(true);
    child.kill(signal);
    await eventually(async () => !runs(pid) && !(await exists(dir)));
  });

  it('does not keep an idle process alive, and ends with it', async () => {
    const { child, pid, dir } = await parent(`const { server } = await servers.sharedRedis();
      console.log(JSON.stringify({ pid: server.pid, dir: server.dir }));`);
    if (child.exitCode === null) await once(child, 'exit');
    expect(child.exitCode).toBe(0);
    await eventually(async () => !runs(pid) && !(await exists(dir)));
  });
});

describe('the Redis of a suite', () => {
  it('is a new one, or the one of TEST_REDIS_URL, which stays as it is', async () => {
    const before = process.env['TEST_REDIS_URL'];
    try {
      process.env['TEST_REDIS_URL'] = '';
      const own = await openTestRedis();
      expect(own.url).toBe(own.server?.url);
      const port = own.server?.port ?? 0;
      process.env['TEST_REDIS_URL'] = own.url;
      const given = await openTestRedis();
      expect(given).toMatchObject({ url: own.url, server: undefined });
      await given.close();
      expect(await askRedis(port, ['PING'])).toBe('PONG');
      await own.close();
      await expect(askRedis(port, ['PING'])).rejects.toThrow('ECONNREFUSED');
    } finally {
      if (before === undefined) delete process.env['TEST_REDIS_URL'];
      else process.env['TEST_REDIS_URL'] = before;
    }
  });

  it('is one per process', async () => {
    const [one, other] = await Promise.all([sharedRedis(), sharedRedis()]);
    expect(one).toBe(other);
  });
});
