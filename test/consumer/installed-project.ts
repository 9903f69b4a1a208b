import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { pack, publishedPackages, root } from '../../packaging/packages.mjs';

const PROJECT = fileURLToPath(new URL('project/', import.meta.url));
const COMPILER = join(root, 'node_modules/typescript/bin/tsc');
const PROGRAM_LIMIT_MS = 100_000;
/** Needed to compile a TypeScript project on Node. What else the types need has to come with the packages. */
const TYPES = '@types/node';

export interface Output {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The versions that the repository is tested with, so that nothing newer is fetched. */
async function lockedVersions(): Promise<Record<string, string>> {
  const lock = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, { readonly version?: string; readonly link?: boolean }>>;
  };
  const direct = /^node_modules\/((?:@[^/]+\/)?[^/]+)$/;
  const versions: Record<string, string> = {};
  for (const [path, { version, link }] of Object.entries(lock.packages)) {
    const name = direct.exec(path)?.[1];
    if (name !== undefined && version !== undefined && link !== true) versions[name] = version;
  }
  return versions;
}

/** `project/` in a temporary folder outside the repository, with the packages as the registry would give them. */
export class InstalledProject implements AsyncDisposable {
  private constructor(readonly folder: string) {}

  static async install(): Promise<InstalledProject> {
    const project = new InstalledProject(await mkdtemp(join(tmpdir(), 'consumer-')));
    try {
      await project.#install();
      return project;
    } catch (error) {
      await project[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #install(): Promise<void> {
    await cp(PROJECT, this.folder, { recursive: true });
    const tarballs = await pack(this.folder);
    const { [TYPES]: types = '', ...overrides } = await lockedVersions();
    const manifest = {
      private: true,
      type: 'module',
      dependencies: Object.fromEntries([...tarballs].map(([name, path]) => [name, `file:${path}`])),
      devDependencies: { [TYPES]: types },
      overrides,
    };
    await writeFile(join(this.folder, 'package.json'), JSON.stringify(manifest));
    const args = ['install', '--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund'];
    const { code, stdout, stderr } = await this.run('npm', args);
    if (code !== 0 || stderr !== '') throw new Error(`npm install:\n${stdout}${stderr}`);
  }

  /** What a program prints, and how it ends. */
  async run(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Output> {
    const options = { cwd: this.folder, env: { ...process.env, ...env }, timeout: PROGRAM_LIMIT_MS };
    try {
      return { code: 0, ...(await promisify(execFile)(program, args, options)) };
    } catch (error) {
      const { code, stdout, stderr } = error as { code?: unknown; stdout: string; stderr: string };
      if (typeof code !== 'number') throw error;
      return { code, stdout, stderr };
    }
  }

  node(file: string, env?: NodeJS.ProcessEnv): Promise<Output> {
    return this.run(process.execPath, [file], env);
  }

  compile(config: string): Promise<Output> {
    return this.run(process.execPath, [COMPILER, '-p', config]);
  }

  /** Writes the JavaScript of the README that came with a package; returns the file. */
  async exampleOf(name: string): Promise<string> {
    const readme = await readFile(join(this.folder, 'node_modules', name, 'README.md'), 'utf8');
    const [, code] = /^```js\n([\s\S]*?)^```/m.exec(readme) ?? [];
    if (code === undefined) throw new Error(`${name}: expected a README with an example in JavaScript`);
    const file = join(this.folder, `example-of-${name.split('/').at(-1)}.mjs`);
    await writeFile(file, code);
    return file;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}

export const packageNames = (await publishedPackages()).map(({ manifest }) => manifest.name);
