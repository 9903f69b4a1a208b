import { execFile } from 'node:child_process';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { serviceDefinitions } from '@agent-orchestrator/local-stack';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { runCommandLine } from '../src/main.js';
import { readSettings } from '../src/settings/settings.js';
import { folder } from './cli-process.js';
import { fakeTerminal } from './fake-terminal.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const CONFIG = join(ROOT, 'deploy/orchestrator.config.mjs');
const SERVICES = serviceDefinitions()
  .map(({ name }) => name)
  .toSorted();

const read = (file: string) => readFile(join(ROOT, file), 'utf8');

/** What `deploy/make-environment.mjs` prints, as a container's environment. */
async function madeEnvironment(): Promise<Record<string, string>> {
  const script = join(ROOT, 'deploy/make-environment.mjs');
  const { stdout } = await promisify(execFile)(process.execPath, [script]);
  const lines = stdout.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return Object.fromEntries(lines.map((line) => /^([A-Z_]+)=(.*)$/.exec(line)?.slice(1) ?? [line, '']));
}

describe('the container image', () => {
  it('copies the manifest of every workspace, which npm ci needs', async () => {
    const { workspaces } = JSON.parse(await read('package.json')) as { workspaces: string[] };
    const folders: string[] = [];
    for (const pattern of workspaces) {
      const parent = pattern.replace(/\/\*$/, '');
      const names = pattern.endsWith('/*') ? await readdir(join(ROOT, parent)) : [''];
      for (const name of names) {
        const manifest = join(parent, name, 'package.json');
        if (await read(manifest).catch(() => undefined)) folders.push(manifest);
      }
    }
    const copied = [...(await read('Dockerfile')).matchAll(/^COPY (\S+\/package\.json) /gm)];
    expect(copied.map(([, file]) => file).toSorted()).toEqual(folders.toSorted());
  });
});

/** Settings of a section of a unit, by name. */
function settingsOf(unit: string, section: string): ReadonlyMap<string, string> {
  const [, body = ''] = new RegExp(`^\\[${section}\\]$([^[]*)`, 'm').exec(unit) ?? [];
  return new Map([...body.matchAll(/^(\w+)=(.*)$/gm)].map(([, name = '', value = '']) => [name, value]));
}

describe('deploy/orchestrator.service', () => {
  it('starts a command and names settings that there are, with time to stop', async () => {
    const service = settingsOf(await read('deploy/orchestrator.service'), 'Service');
    const args = service.get('ExecStart')?.split(' ').slice(2) ?? [];
    expect(args[0]).toBe('serve');
    const { terminal, stdout } = fakeTerminal({ cwd: '/' });
    await runCommandLine(['serve', '--help'], terminal, new AbortController().signal, {});
    for (const flag of args.filter((arg) => arg.startsWith('--'))) expect(stdout()).toContain(flag);
    const environment = Object.fromEntries(
      (service.get('Environment') ?? '').split(' ').map((pair) => pair.split('=') as [string, string]),
    );
    const settings = await readSettings({}, environment, '/');
    expect(settings.storage.label).toContain(`/var/lib/${service.get('StateDirectory')}`);
    expect(settings.log.format).toBe('json');
    expect(Number(service.get('TimeoutStopSec'))).toBeGreaterThan(10);
  });

  it('is a unit that systemd accepts, where it is installed', async () => {
    const verify = promisify(execFile)('systemd-analyze', [
      'verify',
      '--man=no',
      join(ROOT, 'deploy/orchestrator.service'),
    ]);
    const { stderr } = await verify.catch((error: NodeJS.ErrnoException & { stderr?: string }) => {
      if (error.code === 'ENOENT') return { stderr: '' };
      return { stderr: error.stderr ?? error.message };
    });
    expect(stderr.split('\n').filter((line) => line.includes('orchestrator.service'))).toEqual([]);
  });
});

describe('compose.yaml', () => {
  it('hardens every container, and pins images by version', async () => {
    const compose = parse(await read('compose.yaml'), { merge: true }) as {
      readonly services: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
    };
    for (const [name, service] of Object.entries(compose.services)) {
      expect([name, service]).toMatchObject([
        name,
        {
          read_only: true,
          cap_drop: ['ALL'],
          security_opt: ['no-new-privileges:true'],
          mem_limit: '1g',
          pids_limit: 256,
        },
      ]);
      expect(service['image']).toMatch(/^agent-orchestrator$|:\d+\.\d+\.\d+$/);
    }
    const bases = [...(await read('Dockerfile')).matchAll(/^FROM (\S+:\S+)/gm)].map(([, image]) => image);
    expect(bases.length).toBeGreaterThan(0);
    for (const image of bases) expect(image).toMatch(/:\d+\.\d+\.\d+-slim$/);
  });

  it('gets every secret from the output of make-environment', async () => {
    const asked = [...(await read('compose.yaml')).matchAll(/\$\{(\w+):\?/g)].map(([, name]) => name);
    const made = await madeEnvironment();
    expect(new Set([...asked, 'ORCHESTRATOR_API_KEY'])).toEqual(new Set(Object.keys(made)));
    expect(new Set(Object.values(made)).size).toBe(Object.keys(made).length);
  });

  it('has one container per service of the local stack, and the API is configured with all of them', async () => {
    const commands = [...(await read('compose.yaml')).matchAll(/^ {4}command: \['(\w+)'\]$/gm)];
    expect(commands.map(([, name]) => name).toSorted()).toEqual(SERVICES);
    const made = await madeEnvironment();
    await using place = await folder();
    // In a process of its own: the file reads its environment once.
    const ask = `import(${JSON.stringify(pathToFileURL(CONFIG).href)}).then((file) => console.log(JSON.stringify(file.default)))`;
    const { stdout } = await promisify(execFile)(process.execPath, ['-e', ask], {
      env: { ...made, QUERY_URL: 'http://elsewhere:1' },
    });
    const file = join(place.path, 'read.json');
    await writeFile(file, stdout);
    const { services, serviceTokens } = await readSettings({ config: file }, made, place.path);
    expect(Object.keys(services).toSorted()).toEqual(SERVICES);
    expect(services['tool_registry']).toMatchObject({
      url: 'http://tool-registry:8100',
      token: made['TOOL_REGISTRY_TOKEN'],
    });
    expect(services['query']).toMatchObject({ url: 'http://elsewhere:1' });
    expect(serviceTokens['ingestion']).toEqual([made['INGESTION_TOKEN']]);
  });
});
