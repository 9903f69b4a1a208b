import { chmod, mkdir, mkdtemp, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FindRedisOptions, searchRedisServer } from '@agent-orchestrator/test-servers';

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

/** A machine of which nothing is real. */
function machine(options: Partial<FindRedisOptions> = {}): FindRedisOptions {
  return {
    path: `${join(folder, 'nothing')}:${bin}`,
    uid: 0,
    debianVersionFile: join(folder, 'debian_version'),
    policyFile: join(folder, 'policy-rc.d'),
    lockFolder: join(folder, 'lock'),
    run: () => Promise.reject(new Error('nothing is to be run')),
    ...options,
  };
}

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  );

describe('what is on the PATH', () => {
  it('is taken, with the program for looking by hand', async () => {
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

describe('nothing on the PATH', () => {
  it('is an error that says what to install', async () => {
    await expect(searchRedisServer(machine({ uid: 1000 }))).rejects.toThrow(
      /expected redis-server .* or valkey-server, found neither on the PATH.\n.*apt-get install redis-server.*TEST_REDIS_URL/,
    );
    await expect(searchRedisServer(machine({ debianVersionFile: join(folder, 'no') }))).rejects.toThrow(
      'found neither on the PATH',
    );
  });

  it('is installed by root on Debian, and not started', async () => {
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

  it('is installed after the lists were fetched, where there were none', async () => {
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

  it('keeps a foreign policy, and removes one of ours whose owner was killed', async () => {
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

  it('says what apt-get said when that fails, and leaves nothing behind', async () => {
    const options = machine({ run: () => Promise.reject(new Error('no route to host')) });
    await expect(searchRedisServer(options)).rejects.toThrow(
      /apt-get failed: no route to host.\n.*TEST_REDIS_URL/,
    );
    expect(await exists(join(folder, 'policy-rc.d'))).toBe(false);
    expect(await exists(join(folder, 'lock'))).toBe(false);
  });

  it('is installed once when many look at the same time', async () => {
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

  it('is installed although a process that has ended left its lock', async () => {
    const lock = join(folder, 'lock');
    const options = machine({
      run: async () => {
        await addProgram('redis-server');
      },
    });
    await mkdir(lock);
    // No process has it: it is above what Linux gives.
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
