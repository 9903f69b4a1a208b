import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Orchestrator } from '@agent-orchestrator/core';
import { openTestRedis } from '@agent-orchestrator/test-servers';
import { createIdentities, OrchestratorServer } from '@agent-orchestrator/ws-server';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { InstalledProject, packageNames } from './installed-project.js';

const GREETED = '{"said":"hello you"}\n';
const SAID = "{ said: 'hello you' }\n";
const ok = (stdout: string) => ({ code: 0, stdout, stderr: '' });

describe('a project that installs the packages', () => {
  let project: InstalledProject;
  beforeAll(async () => {
    project = await InstalledProject.install();
  });
  afterAll(() => project?.[Symbol.asyncDispose]());

  it('gets the licence, the README and no leftovers of the build with each package', async () => {
    for (const name of packageNames) {
      const path = join(project.folder, 'node_modules', name);
      expect(await readFile(join(path, 'LICENSE'), 'utf8')).toContain('MIT License');
      expect(await readFile(join(path, 'README.md'), 'utf8')).toContain(`# ${name}\n`);
      await expect(readFile(join(path, 'dist/.tsbuildinfo'))).rejects.toThrow('ENOENT');
    }
  });

  it('compiles strictly with bundler resolution, the declarations of the packages included', async () => {
    expect(await project.compile('tsconfig.bundler.json')).toEqual(ok(''));
  });

  it('compiles strictly with nodenext, and runs as ESM and as CommonJS', async () => {
    expect(await project.compile('tsconfig.json')).toEqual(ok(''));
    expect(await project.node('out/program.js')).toEqual(ok(`${GREETED}one TaskNotifier: true\n`));
    const required = await project.node('out/required.cjs');
    expect(required).toMatchObject(ok(`${GREETED}one TaskNotifier: true\nfunction,function,function\n`));
  });

  it('is refused by the compiler where it gives what the packages do not take', async () => {
    const program = join(project.folder, 'src/program.ts');
    const right = await readFile(program, 'utf8');
    await writeFile(program, right.replace('.listen(0)', ".listen('0')"));
    const { code, stdout } = await project.compile('tsconfig.bundler.json');
    await writeFile(program, right);
    expect(code).not.toBe(0);
    expect(stdout).toContain("Argument of type 'string' is not assignable to parameter of type 'number'");
  });

  it.each(['core', 'ws-server'])('runs the example of %s', async (name) => {
    const example = await project.exampleOf(`@agent-orchestrator/${name}`);
    expect(await project.node(example, { PORT: '0' })).toEqual(ok(SAID));
  });

  it('runs the example of redis-adapter', async () => {
    await using redis = await openTestRedis();
    const example = await project.exampleOf('@agent-orchestrator/redis-adapter');
    expect(await project.node(example, { REDIS_URL: redis.url })).toEqual(ok(SAID));
  });

  it('runs the example of notifier', async () => {
    const token = 'token-of-query';
    const identities = createIdentities({ serviceTokens: [{ service: 'query', token }] });
    await using server = await new OrchestratorServer(new Orchestrator(), { identities }).listen(0);
    const example = await project.exampleOf('@agent-orchestrator/notifier');
    const env = { ORCHESTRATOR_URL: server.url, SERVICE_TOKEN: token };
    expect(await project.node(example, env)).toEqual(ok('unknown_task\n'));
  });

  it('runs the example of local-stack', async () => {
    const example = await project.exampleOf('@agent-orchestrator/local-stack');
    const { code, stdout, stderr } = await project.node(example);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('397.8');
  });

  it('has the command, which ingests its documents and answers from them', async () => {
    const cli = join(project.folder, 'node_modules/.bin/orchestrator-cli');
    const args = ['demo', '--once', '--json', '--question', 'What does a TaskNotifier promise?'];
    const documents = join(project.folder, 'node_modules/@agent-orchestrator/notifier/README.md');
    const { code, stdout } = await project.run(cli, [...args, documents], { ORCHESTRATOR_PORT: '0' });
    const last = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as { readonly status?: string };
    expect({ code, status: last.status }).toEqual({ code: 0, status: 'completed' });
  });
});
