import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
/** Inside the repository, so that the packages are found as a user's project finds them. */
const folder = join(root, 'node_modules', '.snippets');

/** What snippets may use without saying where it comes from. */
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

describe('the code in the documents', () => {
  let found: Snippet[];
  beforeAll(async () => {
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true });
    found = await snippets();
    for (const { name, code } of found) await writeFile(join(folder, name), withAmbient(code));
    const config = {
      extends: join(root, 'tsconfig.base.json'),
      compilerOptions: { composite: false, noEmit: true },
      include: ['*.ts'],
    };
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(config));
    await writeFile(join(folder, 'package.json'), '{"type":"module"}');
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('is there, and compiles', async () => {
    expect(found.length).toBeGreaterThanOrEqual(4);
    const tsc = join(root, 'node_modules', '.bin', 'tsc');
    const { stdout } = await promisify(execFile)(tsc, ['-p', folder]).catch(
      (error: { stdout: string }) => error,
    );
    expect(stdout).toBe('');
  });
});
