import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { MARKS_REJECTIONS, refuseUnhandled } from '@agent-orchestrator/test-servers';
import { expect, it, onTestFinished } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const START = /^npm start -- --config (\S+)\n$/;
const COMMANDS_LIMIT_MS = 100_000;

interface Step {
  readonly commands: string;
  readonly output: string;
}

/** Blocks of commands, each with the block of its output. */
async function documented(): Promise<{ readonly config: string; readonly steps: readonly Step[] }> {
  const text = await readFile(join(root, 'docs/http.md'), 'utf8');
  const blocks = [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(([, kind, body = '']) => [
    kind,
    body,
  ]);
  const config = START.exec(blocks[0]?.[1] ?? '')?.[1];
  if (config === undefined) throw new Error('expected "npm start -- --config …" as the first block');
  const steps: Step[] = [];
  for (let at = 1; at < blocks.length; at += 2) {
    const [[kind, commands = ''] = [], [following, output = ''] = []] = blocks.slice(at, at + 2);
    expect([kind, following], commands).toEqual(['sh', 'text']);
    steps.push({ commands, output });
  }
  return { config, steps };
}

/** What `npm start` runs, with one document, on a free port. Resolves when it serves. */
async function startServer(folder: string, config: string): Promise<void> {
  const bin = join(root, 'packages/cli/bin/orchestrator-cli.mjs');
  const args = [bin, 'demo', '--port', '0', '--config', join(root, config), join(root, 'README.md')];
  const child = spawn(process.execPath, args, {
    cwd: folder,
    env: { PATH: process.env['PATH'], HOME: folder, ...MARKS_REJECTIONS },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const exited = once(child, 'close');
  let said = '';
  onTestFinished(async () => {
    child.kill('SIGTERM');
    await exited;
    refuseUnhandled(said, 'demo');
  });
  await new Promise<void>((resolve, reject) => {
    child.once('close', () => reject(new Error(`expected a server, got:\n${said}`)));
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      if (said.includes('Ctrl-C ends it')) resolve();
    });
  });
}

/** `…` stands for text of a line, or, alone in a line, for any lines. */
function pattern(output: string): RegExp {
  const literal = output.trim().replaceAll(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`);
  const anyLines = literal.replaceAll(/^…$/gm, '[^]*?');
  return new RegExp(`^${anyLines.replaceAll('…', '.*?')}$`);
}

it('each command of docs/http.md prints what is documented', async ({ skip }) => {
  const hasCurl = spawnSync('curl', ['--version']).status === 0;
  if (!hasCurl && !process.env['CI']) skip('curl is not installed');
  const { config, steps } = await documented();
  expect(steps.length).toBeGreaterThan(10);
  const folder = await mkdtemp(join(tmpdir(), 'quick-start-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await startServer(folder, config);
  const mark = (step: number) => `-- end of step ${step} --\n`;
  const script = steps.map(({ commands }, step) => `${commands}printf '%s' '${mark(step)}'\n`).join('');
  const options = { cwd: folder, timeout: COMMANDS_LIMIT_MS };
  const { stdout, stderr } = await promisify(execFile)('sh', ['-c', script], options);
  expect(stderr).toBe('');
  let rest = stdout.replaceAll('\r', '');
  for (const [step, { output }] of steps.entries()) {
    const [printed = '', ...after] = rest.split(mark(step));
    expect(printed.trim()).toMatch(pattern(output));
    rest = after.join('');
  }
  expect(rest).toBe('');
});
