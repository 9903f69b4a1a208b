import { execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { freePort } from '@agent-orchestrator/test-servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
/** Inside the repository, so that packages resolve as in a user's project. */
const folder = join(root, 'node_modules', '.snippets');

/** Names that snippets may use without a declaration. */
const AMBIENT: Readonly<Record<string, string>> = {
  orchestrator: "declare const orchestrator: import('@agent-orchestrator/core').Orchestrator;",
  acme: "declare const acme: import('@agent-orchestrator/core').TenantHandle;",
  task_id: 'declare const task_id: string;',
  fn: "declare const fn: import('@agent-orchestrator/core').WorkflowFunction;",
};

interface Snippet {
  readonly name: string;
  readonly code: string;
}

async function documentFiles(): Promise<string[]> {
  const all = ['README.md'];
  for (const folder of ['docs', 'packages', 'examples']) {
    const files = await readdir(join(root, folder), { recursive: true });
    all.push(...files.filter((file) => file.endsWith('.md')).map((file) => join(folder, file)));
  }
  return all.filter((file) => !file.includes('node_modules'));
}

async function snippets(): Promise<Snippet[]> {
  const found: Snippet[] = [];
  for (const file of await documentFiles()) {
    const text = await readFile(join(root, file), 'utf8');
    for (const [index, [, code]] of [...text.matchAll(/^```ts\n([\s\S]*?)^```/gm)].entries()) {
      found.push({ name: `${file.replaceAll(/[^\w]/g, '_')}_${index}.ts`, code: code ?? '' });
    }
  }
  return found;
}

function withAmbient(code: string): string {
  const missing = Object.entries(AMBIENT).filter(
    ([name]) =>
      new RegExp(`\\b${name}\\b`).test(code) && !new RegExp(`(const|using|let) \\{? ?${name}\\b`).test(code),
  );
  return `${missing.map(([, declaration]) => declaration).join('\n')}\n${code}\nexport {};\n`;
}

const TOKEN = 'token-of-the-sample';

/** Runs a sample service of the guide as a program of its own, without an orchestrator. */
async function startSample(name: string) {
  const child = spawn(process.execPath, [join(folder, 'compiled', name.replace(/ts$/, 'js'))], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      SERVICE_TOKEN: TOKEN,
      SERVICE_PORT: String(await freePort()),
      ORCHESTRATOR_URL: 'http://127.0.0.1:1',
    },
  });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  let url: string | undefined;
  for await (const line of createInterface(child.stdout)) {
    url = /listens at (\S+)/.exec(line)?.[1];
    if (url !== undefined) break;
  }
  if (url === undefined) throw new Error(`expected a listening sample, got: ${stderr}`);
  return {
    url,
    stderrText: () => stderr,
    isAlive: () => child.exitCode === null && child.signalCode === null,
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGKILL');
        await once(child, 'exit');
      }
    },
  };
}

async function post(url: string, body: string): Promise<number> {
  const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };
  const { status } = await fetch(`${url}/add`, { method: 'POST', headers, body });
  return status;
}

/** Breaks the connection in the middle of a body, once the service has received the headers. */
async function breakOffRequest(url: string): Promise<void> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  const headers = ['POST /add HTTP/1.1', 'host: x', `authorization: Bearer ${TOKEN}`, 'expect: 100-continue'];
  socket.write([...headers, 'content-length: 100', '', '{"call_id": '].join('\r\n'));
  await once(socket, 'data');
  socket.destroy();
}

describe('the code in the documents', () => {
  let found: Snippet[];
  let compilerErrors: string;
  beforeAll(async () => {
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true });
    found = await snippets();
    for (const { name, code } of found) await writeFile(join(folder, name), withAmbient(code));
    const config = {
      extends: join(root, 'tsconfig.base.json'),
      compilerOptions: { composite: false, rootDir: folder, outDir: join(folder, 'compiled') },
      include: ['*.ts'],
    };
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(config));
    await writeFile(join(folder, 'package.json'), '{"type":"module"}');
    const tsc = join(root, 'node_modules', '.bin', 'tsc');
    const { stdout } = await promisify(execFile)(tsc, ['-p', folder]).catch(
      (error: { stdout: string }) => error,
    );
    compilerErrors = stdout;
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('exists, and compiles', async () => {
    expect(found.length).toBeGreaterThanOrEqual(4);
    expect(compilerErrors).toBe('');
  });

  it.for([0, 1])('a sample service of the guide (%i) survives bad bodies', async (index) => {
    const samples = found.filter(({ code }) => code.includes('listens at'));
    expect(samples).toHaveLength(2);
    await using sample = await startSample(samples[index]?.name ?? '');
    const ids = { call_id: randomUUID(), task_id: randomUUID(), tenant_id: 'acme' };
    const bad = ['', '{"call_id": ', 'null', '7', '[]', '{}', JSON.stringify(ids)];
    bad.push(...[null, 'x', {}, { n: '1' }].map((input) => JSON.stringify({ ...ids, input })));
    const statuses: [string, number][] = [];
    for (const body of bad) statuses.push([body, await post(sample.url, body)]);
    expect(statuses).toEqual(bad.map((body) => [body, 400]));
    await breakOffRequest(sample.url);
    const call = { ...ids, operation: 'add', input: { n: 1 }, attempt: 1, metadata: {} };
    expect(await post(sample.url, JSON.stringify(call))).toBe(202);
    expect(sample.isAlive(), sample.stderrText()).toBe(true);
  });
});
