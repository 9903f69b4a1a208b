import { chmod, mkdir, mkdtemp, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FindOptions, searchRedisServer } from '@agent-orchestrator/test-servers';

let folder: string;
let bin: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'find-redis-'));
  bin = join(folder, 'bin');
  await mkdir(bin);
  await writeFile(join(folder, 'debian_version'), '12\n');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function addProgram(name: string): Promise<string> {
  const file = join(bin, name);
  await writeFile(file, '#!/bin/sh\n', { mode: 0o755 });
  return file;
}

/** A fake machine. */
function machine(options: Partial<FindOptions> = {}): FindOptions {
  return {
    path: `${join(folder, 'nothing')}:${bin}`,
    uid: 0,
    debianVersionFile: join(folder, 'debian_version'),
    policyFile: join(folder, 'policy-rc.d'),
    lockFolder: join(folder, 'lock'),
    run: () => Promise.reject(new Error('expected no command')),
    ...options,
  };
}

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  );

describe('a Redis on the PATH', () => {
  it('is found, with its redis-cli', async () => {
    const server = await addProgram('redis-server');
    const cli = await addProgram('redis-cli');
    await addProgram('valkey-server');
    expect(await searchRedisServer(machine())).toEqual({ server, cli });
  });

  it('may be Valkey', async () => {
    const server = await addProgram('valkey-server');
    expect(await searchRedisServer(machine())).toEqual({ server, cli: undefined });
  });

  it('has to be executable', async () => {
    await chmod(await addProgram('redis-server'), 0o644);
    const server = await addProgram('valkey-server');
    expect(await searchRedisServer(machine())).toEqual({ server, cli: undefined });
  });
});

describe('without a Redis on the PATH', () => {
  it('the search fails with an error that says what to install', async () => {
    await expect(searchRedisServer(machine({ uid: 1000 }))).rejects.toThrow(
      /expected redis-server .* or valkey-server, found neither on the PATH.\n.*apt-get install redis-server.*TEST_REDIS_URL/,
    );
    await expect(searchRedisServer(machine({ debianVersionFile: join(folder, 'no') }))).rejects.toThrow(
      'found neither on the PATH',
    );
  });

  it('root on Debian installs Redis, without starting it', async () => {
    const ran: string[] = [];
    const policies: string[] = [];
    const options = machine({
      run: async (command, args) => {
        ran.push([command, ...args].join(' '));
        policies.push(await readFile(join(folder, 'policy-rc.d'), 'utf8'));
        await addProgram('redis-server');
      },
    });
    expect(await searchRedisServer(options)).toMatchObject({ server: join(bin, 'redis-server') });
    expect(ran).toEqual(['apt-get install -y --no-install-recommends redis-server']);
    expect(policies[0]).toMatch(/^#!\/bin\/sh\n(?:#.*\n)*exit 101\n$/);
    expect(await exists(join(folder, 'policy-rc.d'))).toBe(false);
    expect(await exists(join(folder, 'lock'))).toBe(false);
  });

  it('Redis is installed after an update of missing package lists', async () => {
    const ran: string[] = [];
    const options = machine({
      run: async (_, args) => {
        ran.push(args[0] ?? '');
        if (ran.length === 1) throw new Error('Unable to locate package');
        if (args[0] === 'install') await addProgram('redis-server');
      },
    });
    await searchRedisServer(options);
    expect(ran).toEqual(['install', 'update', 'install']);
  });

  it('a foreign policy file is kept, and one left by a killed test process is removed', async () => {
    const policy = join(folder, 'policy-rc.d');
    const options = machine({
      run: async () => {
        await addProgram('redis-server');
      },
    });
    await writeFile(policy, '#!/bin/sh\nexit 0\n');
    await searchRedisServer(options);
    expect(await readFile(policy, 'utf8')).toBe('#!/bin/sh\nexit 0\n');

    await rm(join(bin, 'redis-server'));
    await rm(policy);
    let ours = '';
    const killed = machine({
      run: async () => {
        ours = await readFile(policy, 'utf8');
      },
    });
    await expect(searchRedisServer(killed)).rejects.toThrow('it is not on the PATH');
    await writeFile(policy, ours);
    await searchRedisServer(options);
    expect(await exists(policy)).toBe(false);
  });

  it('a failure of apt-get is in the error, and no file is left', async () => {
    const options = machine({ run: () => Promise.reject(new Error('no route to host')) });
    await expect(searchRedisServer(options)).rejects.toThrow(
      /apt-get failed: no route to host.\n.*TEST_REDIS_URL/,
    );
    expect(await exists(join(folder, 'policy-rc.d'))).toBe(false);
    expect(await exists(join(folder, 'lock'))).toBe(false);
  });

  it('concurrent searches install Redis once', async () => {
    let installs = 0;
    let atOnce = 0;
    const options = machine({
      run: async () => {
        installs += 1;
        atOnce += 1;
        expect(atOnce).toBe(1);
        await new Promise((resolve) => setImmediate(resolve));
        await addProgram('redis-server');
        atOnce -= 1;
      },
    });
    const found = await Promise.all(Array.from({ length: 8 }, () => searchRedisServer(options)));
    expect(new Set(found.map(({ server }) => server))).toEqual(new Set([join(bin, 'redis-server')]));
    expect(installs).toBe(1);
  });

  it('a lock left by an ended process is removed', async () => {
    const lock = join(folder, 'lock');
    const options = machine({
      run: async () => {
        await addProgram('redis-server');
      },
    });
    await mkdir(lock);
    // Above the process ids of Linux, so unused.
    await writeFile(join(lock, 'pid'), '4194305');
    await searchRedisServer(options);
    expect(await exists(lock)).toBe(false);

    await rm(join(bin, 'redis-server'));
    await mkdir(lock);
    await writeFile(join(lock, 'pid'), String(process.pid));
    await utimes(lock, 0, 0);
    await searchRedisServer(options);
    expect(await exists(lock)).toBe(false);
  });
});
