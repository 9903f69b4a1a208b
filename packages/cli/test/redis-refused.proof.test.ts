import { RedisServer } from '@agent-orchestrator/test-servers';
import { describe, expect, it } from 'vitest';
import { cli, CliProcess, startServer } from './cli-process.js';

const keys = { ORCHESTRATOR_API_KEYS: 'key-of-acme-0123=acme' };

describe('orchestrator-cli serve on an unusable Redis', () => {
  const PASSWORD = 'never-to-be-seen';
  const nowhere = 'redis://127.0.0.1:1';

  it.concurrent.each(['api', 'worker'])(
    'the role %s without a storage that processes share',
    async (role) => {
      const { code, stdout, stderr } = await cli(['serve', '--role', role], { env: keys });
      expect([code, stdout]).toEqual([78, '']);
      expect(stderr).toMatch(new RegExp(`^error: role "${role}" .*expected one in --storage <url>`));
    },
  );

  it.concurrent('refuses an API without keys before it connects', async () => {
    const { code, stderr } = await cli(['serve', '--role', 'api', '--redis', nowhere]);
    expect(code).toBe(78);
    expect(stderr).toMatch(/no API keys/);
  });

  it.concurrent.each([
    [['serve', '--role', 'worker']],
    [['queues', 'list']],
    [['tasks', 'list', '--tenant', 'acme']],
  ])('exits with 69 for an unreachable Redis: %j', async (args) => {
    const { code, stdout, stderr } = await cli([...args, '--json', '--redis', nowhere]);
    expect([code, stdout]).toEqual([69, '']);
    expect(JSON.parse(stderr)).toEqual({
      error: {
        code: 'storage_unavailable',
        message: expect.stringMatching(
          /^no Redis answers at redis:\/\/127\.0\.0\.1:1 within \d+ s \(ECONNREFUSED\)/,
        ) as string,
      },
    });
  });

  it('exits with 78 for a wrong password, and does not print it', async () => {
    await using redis = await RedisServer.start({ args: ['--requirepass', 'right'] });
    const wrong = `redis://:${PASSWORD}@127.0.0.1:${redis.port}`;
    const answers = await Promise.all([
      cli(['serve', '--role', 'worker', '--redis', wrong]),
      cli(['queues', 'list'], { env: { ORCHESTRATOR_REDIS_URL: wrong } }),
      cli(['queues', 'list', '--redis', redis.url], { env: { ORCHESTRATOR_REDIS_PASSWORD: PASSWORD } }),
      cli(['queues', 'list', '--redis', redis.url]),
    ]);
    for (const { code, stdout, stderr } of answers) {
      expect([code, stdout]).toEqual([78, '']);
      expect(stderr).toMatch(
        new RegExp(`^error: the Redis at redis://127.0.0.1:${redis.port} refuses the user or password`),
      );
      expect(stderr).not.toContain(PASSWORD);
    }
    const right = await cli(['queues', 'list', '--redis', redis.url], {
      env: { ORCHESTRATOR_REDIS_PASSWORD: 'right' },
    });
    expect(right).toEqual({ code: 0, stdout: '', stderr: 'no tenants\n' });
  });

  it('refuses a Redis that evicts keys, and warns of one without persistence', async () => {
    await using redis = await RedisServer.start({ args: ['--maxmemory-policy', 'allkeys-lru'] });
    const args = ['serve', '--role', 'worker', '--port', '0', '--redis', redis.url];
    const { code, stderr } = await cli(args);
    expect(code).toBe(78);
    expect(stderr).toMatch(/^error: the Redis at .* would lose tasks: maxmemory-policy is allkeys-lru/m);
    await redis.ask(['CONFIG', 'SET', 'maxmemory-policy', 'noeviction']);
    await using worker = await startServer(args.slice(0, 3), { env: { ORCHESTRATOR_REDIS_URL: redis.url } });
    expect(worker.process.stderr).toMatch(/"level":"warn".*appendonly is off/);
  });

  it('exits with 78 for a database that the server does not have, and for keys of another layout', async () => {
    await using redis = await RedisServer.start({ args: ['--databases', '2'] });
    await redis.ask(['SET', 'orchestrator:system:layout', '7']);
    for (const args of [
      ['serve', '--role', 'worker'],
      ['queues', 'list'],
    ]) {
      const other = await cli([...args, '--redis', redis.url]);
      expect([other.code, other.stdout]).toEqual([78, '']);
      expect(other.stderr).toMatch(/^error: the Redis at .* is refused: .*layout 1, .* got layout 7/);
      const missing = await cli([...args, '--redis', `${redis.url}/2`]);
      expect([missing.code, missing.stdout]).toEqual([78, '']);
      expect(missing.stderr).toMatch(/is refused: .*expected a database that the server has, got 2/);
    }
  });

  it('exits with 78 for a port in use', async () => {
    await using redis = await RedisServer.start({ appendonly: true });
    const args = ['serve', '--role', 'worker', '--redis', redis.url, '--port', String(redis.port)];
    const { code, stderr } = await cli(args);
    expect(code).toBe(78);
    expect(stderr).toMatch(/is in use already/);
  });

  it('tail exits when its Redis ends', async () => {
    await using redis = await RedisServer.start();
    await using tail = new CliProcess(['tail', '--system', '--redis', redis.url]);
    await tail.printed('stderr', /following/);
    await redis.kill();
    const { code, stderr } = await tail.ended;
    expect(code).toBe(69);
    expect(stderr).toMatch(/^error: Redis does not answer/m);
  });
});
