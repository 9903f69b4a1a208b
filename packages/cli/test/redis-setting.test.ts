import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ConfigurationError } from '../src/errors/errors.js';
import { type RedisSetting, withoutCredentials } from '../src/storage/redis/redis-address.js';
import { RedisAddress } from '../src/storage/redis/redis-kind.js';
import { readSettings, type SettingFlags, type Settings } from '../src/settings/settings.js';
import { type Folder, folder } from './cli-process.js';

const SECRET = 'se/cr@et:word';
let empty: Folder;

beforeAll(async () => {
  empty = await folder();
});
afterAll(() => empty[Symbol.asyncDispose]());

const read = (flags: SettingFlags, env: Record<string, string> = {}) => readSettings(flags, env, empty.path);

/** The Redis of settings; `undefined` for another storage. */
function redisOf({ storage }: Settings): RedisSetting | undefined {
  return storage instanceof RedisAddress ? storage.setting : undefined;
}

async function fromFile(content: string, env: Record<string, string> = {}) {
  await using place = await folder();
  await writeFile(join(place.path, 'orchestrator.config.mjs'), `export default ${content};`);
  return await readSettings({}, env, place.path);
}

async function problem(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => new Error('it was accepted'),
    (thrown: unknown) => thrown as Error,
  );
  expect(error).toBeInstanceOf(ConfigurationError);
  expect(error.message).not.toContain(SECRET);
  expect(error.message).not.toContain('hunter2');
  return error.message;
}

const standalone = { kind: 'standalone', database: 0, tls: false } as const;

describe('the Redis setting', () => {
  it.each<[string, RedisSetting, string]>([
    ['redis://h', { ...standalone, hosts: ['h:6379'] }, 'redis://h:6379'],
    ['redis://h:7000/3', { ...standalone, hosts: ['h:7000'], database: 3 }, 'redis://h:7000/3'],
    ['redis://h/', { ...standalone, hosts: ['h:6379'] }, 'redis://h:6379'],
    ['rediss://h', { ...standalone, hosts: ['h:6379'], tls: true }, 'rediss://h:6379'],
    ['redis://[::1]:7000', { ...standalone, hosts: ['[::1]:7000'] }, 'redis://[::1]:7000'],
    ['redis://:hunter2@h', { ...standalone, hosts: ['h:6379'], password: 'hunter2' }, 'redis://h:6379'],
    [
      'redis://me:hunter2@h',
      { ...standalone, hosts: ['h:6379'], username: 'me', password: 'hunter2' },
      'redis://h:6379',
    ],
    [
      `redis://me:${encodeURIComponent(SECRET)}@h`,
      { ...standalone, hosts: ['h:6379'], username: 'me', password: SECRET },
      'redis://h:6379',
    ],
    // What should have been encoded is taken as it is.
    [`redis://:${SECRET}%@h`, { ...standalone, hosts: ['h:6379'], password: `${SECRET}%` }, 'redis://h:6379'],
    [
      'redis://:hunter2@h1:7001,h2',
      { kind: 'cluster', hosts: ['h1:7001', 'h2:6379'], database: 0, tls: false, password: 'hunter2' },
      'redis://h1:7001,h2:6379',
    ],
    [
      'redis+sentinel://h1,h2:27000/mymaster',
      { kind: 'sentinel', hosts: ['h1:26379', 'h2:27000'], name: 'mymaster', database: 0, tls: false },
      'redis+sentinel://h1:26379,h2:27000/mymaster',
    ],
  ])('reads %s', async (url, setting, label) => {
    expect(redisOf(await read({ redis: url }))).toEqual(setting);
    expect(redisOf(await read({}, { ORCHESTRATOR_REDIS_URL: url }))).toEqual(setting);
    expect(redisOf(await fromFile(`{ redis: ${JSON.stringify(url)} }`))).toEqual(setting);
    const { storage } = await read({ storage: url });
    expect(storage.label).toBe(label);
    // A service process is given the same.
    expect(redisOf(await read({ storage: storage.serviceStorage('query', '/') }))).toEqual(setting);
  });

  it('may be nodes or sentinels in the config file', async () => {
    expect(redisOf(await fromFile(`{ redis: { nodes: ['h1:7001'], password: 'p' } }`))).toEqual({
      kind: 'cluster',
      hosts: ['h1:7001'],
      database: 0,
      tls: false,
      password: 'p',
    });
    expect(redisOf(await fromFile(`{ redis: { sentinels: ['h1', 'h2'], name: 'main' } }`))).toEqual({
      kind: 'sentinel',
      hosts: ['h1:26379', 'h2:26379'],
      name: 'main',
      database: 0,
      tls: false,
    });
  });

  it('is a Cluster for a service process too, with one node', async () => {
    const { storage } = await fromFile("{ redis: { nodes: ['h:7001'] } }");
    expect(storage.serviceStorage('query', '/')).toBe('redis://h:7001,h:7001');
  });

  it('is absent by default', async () => {
    const settings = await read({}, { ORCHESTRATOR_REDIS_URL: '' });
    expect(redisOf(settings)).toBeUndefined();
    expect(settings.role).toBe('all');
  });

  it('takes the password of the environment if the URL has none', async () => {
    const env = { ORCHESTRATOR_REDIS_PASSWORD: SECRET };
    expect(redisOf(await read({ redis: 'redis://h' }, env))).toMatchObject({ password: SECRET });
    expect(redisOf(await read({ redis: 'redis://me:@h' }, env))).toMatchObject({
      username: 'me',
      password: SECRET,
    });
    expect(redisOf(await read({ redis: 'redis://:own@h' }, env))).toMatchObject({ password: 'own' });
    expect(redisOf(await read({}, env))).toBeUndefined();
  });

  it('takes a flag before the environment, and the environment before the file', async () => {
    const env = { ORCHESTRATOR_REDIS_URL: 'redis://env' };
    expect(redisOf(await read({ redis: 'redis://flag' }, env))?.hosts).toEqual(['flag:6379']);
    expect(redisOf(await fromFile(`{ redis: 'redis://file' }`, env))?.hosts).toEqual(['env:6379']);
  });
});

describe('an invalid Redis setting', () => {
  const FORM = /expected redis:\/\/\[user:password@\]host\[:port\]\[\/database\], with several hosts/;

  it.each<[string]>([
    [''],
    ['h:6379'],
    ['http://h'],
    ['redis://'],
    ['redis://:hunter2@'],
    ['redis://hunter2@h'],
    ['redis://h:0'],
    ['redis://h:65536'],
    ['redis://h:abc'],
    ['redis://h/name'],
    ['redis://h/1/2'],
    ['redis://h?password=hunter2'],
    ['redis://h1,h2/3'],
    ['rediss://h1,h2'],
    ['redis://h1,,h2'],
    ['redis://h 1'],
    ['redis+sentinel://h1,h2'],
    ['redis+sentinel://h1,h2/'],
    [`redis://:${SECRET}@h:port`],
    ['hunter2'],
  ])('%j is refused as a URL', async (url) => {
    const message = await problem(read({ redis: url }));
    expect(message).toMatch(/^--redis: /);
    expect(message).toMatch(FORM);
  });

  it('is reported with its source, and not repeated where it may be a secret', async () => {
    expect(await problem(read({}, { ORCHESTRATOR_REDIS_URL: 'http://h' }))).toMatch(
      /^ORCHESTRATOR_REDIS_URL: .*got "http:\/\/h"$/,
    );
    expect(await problem(read({ redis: 'redis://:hunter2@h:port' }))).toMatch(/got something else$/);
    expect(await problem(read({ redis: 'hunter2' }))).toMatch(/got something else$/);
  });

  it.each([
    ['{ redis: 7 }'],
    ['{ redis: {} }'],
    ['{ redis: { nodes: [] } }'],
    ['{ redis: { nodes: ["a b"] } }'],
    ['{ redis: { sentinels: ["h"] } }'],
    ['{ redis: { nodes: ["h"], sentinels: ["h"], name: "x" } }'],
  ])('%s in the config file is refused', async (content) => {
    expect(await problem(fromFile(content))).toMatch(/orchestrator\.config\.mjs, redis: expected redis:/);
  });

  it.each<[SettingFlags, Record<string, string>, RegExp]>([
    [{ role: 'boss' }, {}, /^--role: expected all, api, worker, got "boss"$/],
    [{}, { ORCHESTRATOR_ROLE: 'boss' }, /^ORCHESTRATOR_ROLE: expected all, api, worker, got "boss"$/],
    [{ concurrency: '0' }, {}, /^--concurrency: expected a whole number from 1 to 999999, got "0"$/],
    [{ concurrency: '1e3' }, {}, /^--concurrency: expected/],
    [{ concurrency: '-1' }, {}, /^--concurrency: expected/],
  ])('%j gets the error %j', async (flags, env, pattern) => {
    expect(await problem(read(flags, env))).toMatch(pattern);
  });

  it('does not include a valid one', async () => {
    expect(await read({ role: 'worker', concurrency: '7' })).toMatchObject({
      role: 'worker',
      concurrency: 7,
    });
  });
});

describe('text with credentials in a URL', () => {
  it('is printed without them', () => {
    expect(withoutCredentials('connect redis://me:hunter2@h:1/2 failed')).toBe(
      'connect redis://***@h:1/2 failed',
    );
    expect(withoutCredentials(`rediss://:${SECRET}@h`)).toBe('rediss://***@h');
    expect(withoutCredentials('redis://h:1')).toBe('redis://h:1');
  });
});
