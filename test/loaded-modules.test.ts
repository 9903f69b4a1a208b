import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));

/**
 * Loads a module in a process of its own, calls its `main` if there are arguments, and writes every file that this has loaded,
 * ES modules and CommonJS.
 */
const RECORDER = `
import { createRequire, register } from 'node:module';
import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads';
const hooks = 'let port; export const initialize = (data) => { port = data.port; };'
  + 'export const load = (url, context, next) => { port.postMessage(url); return next(url, context); };';
const { port1, port2 } = new MessageChannel();
register('data:text/javascript,' + encodeURIComponent(hooks), { data: { port: port2 }, transferList: [port2] });
const [, name, ...args] = process.argv;
const loaded = await import(name);
if (args.length > 0) await loaded.main(args);
const urls = [];
for (let word = receiveMessageOnPort(port1); word; word = receiveMessageOnPort(port1)) urls.push(word.message);
port1.close();
console.log(JSON.stringify([...urls, ...Object.keys(createRequire(import.meta.url).cache)]));
`;

async function loadedBy(name: string, ...args: string[]): Promise<string[]> {
  const own = ['--input-type=module', '--eval', RECORDER, '--', name, ...args];
  const { stdout } = await promisify(execFile)(process.execPath, own, { cwd: root });
  return JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as string[];
}

const isUndici = (file: string) => file.includes('node_modules/undici/');
const isOrchestrator = (file: string) => file.endsWith('core/dist/orchestrator.js');
const isConformance = (file: string) => file.includes('core/dist/conformance/');

describe('a service that imports the built notifier', () => {
  it('loads neither the orchestrator nor undici', async () => {
    const files = await loadedBy('@agent-orchestrator/notifier');
    expect(files.some((file) => file.endsWith('core/dist/notifier/task-notifier.js'))).toBe(true);
    expect(files.some((file) => file.includes('node_modules/ws/'))).toBe(true);
    expect(files.filter((file) => isUndici(file) || isOrchestrator(file))).toEqual([]);
    const ofCore = files.filter((file) => /packages\/core\/|agent-orchestrator\/core\//.test(file));
    expect(
      ofCore.filter((file) => !/\/core\/dist\/(?:notifier|protocol|runtime|tracing)\//.test(file)),
    ).toEqual([]);
  });
});

describe('an application that imports the built core', () => {
  it('loads the orchestrator, but neither the conformance suite nor undici', async () => {
    const files = await loadedBy('@agent-orchestrator/core');
    expect(files.some(isOrchestrator)).toBe(true);
    expect(files.filter((file) => isConformance(file) || isUndici(file))).toEqual([]);
  });

  it('would be found to load them', async () => {
    expect((await loadedBy('@agent-orchestrator/core/conformance')).some(isConformance)).toBe(true);
    expect((await loadedBy('undici')).some(isUndici)).toBe(true);
  });
});

describe('the command line', () => {
  const MAIN = new URL('../packages/cli/dist/main.js', import.meta.url).href;
  const isOfCli = (file: string) => /packages\/cli\/|node_modules\/commander\/|^node:/.test(file);

  it.each([
    [['--version']],
    [['--help']],
    ...['dev', 'serve', 'chat', 'run', 'ingest', 'tail'].map((name) => [[name, '--help']]),
    ...['tasks', 'sessions', 'queues', 'tenants', 'dlq'].map((name) => [[name, 'list', '--help']]),
    [['services', 'check', '--help']],
    [['chta']],
  ])('%j loads nothing else than itself', async (args) => {
    const files = await loadedBy(MAIN, ...args);
    expect(files.some((file) => file.includes('node_modules/commander/'))).toBe(true);
    expect(files.filter((file) => !isOfCli(file))).toEqual([]);
  });

  it('loads a command when it runs', async () => {
    const files = await loadedBy(MAIN, 'queues', 'list', '--storage', 'memory:');
    expect(files.some((file) => file.endsWith('commands/queues.js'))).toBe(true);
    expect(files.filter((file) => file.includes('redis-adapter/'))).toEqual([]);
  });
});
