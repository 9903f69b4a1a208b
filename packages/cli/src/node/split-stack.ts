import { cutText } from '@agent-orchestrator/core/protocol';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { SERVICE_PROGRAM } from '@agent-orchestrator/local-stack';
import { z } from 'zod';

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

const READY_MS = 20_000;
const STOP_MS = 5_000;
const FIRST_RESTART_MS = 250;
const LAST_RESTART_MS = 10_000;
/** A service that has run for this long restarts without a delay, ms. */
const HEALTHY_MS = 10_000;
/** Silence limit of jobs, ms: an ended process is noticed by it. Services report three times as often. */
export const SPLIT_SILENCE_MS = 15_000;

const readySchema = z.object({ service: z.string(), url: z.url() });

export interface SplitStackOptions {
  readonly orchestratorUrl: string;
  /** Token of each service to start, by name. */
  readonly tokens: Readonly<Record<string, string>>;
  /** Where a service keeps its state, as `SERVICE_STORAGE` has it. */
  readonly storageOf: (service: string) => string;
  /** Further environment of the processes, such as `ORCHESTRATOR_LLM_URL`. */
  readonly environment: Readonly<Record<string, string>>;
  /** Called with ends, restarts, and stderr of the services. */
  readonly say: (line: string) => void;
}

/** A generated token for each service. */
export function madeUpTokens(names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map((name) => [name, randomBytes(32).toString('base64url')]));
}

/** A service in a process of its own, restarted at the same address whenever it exits. */
class SupervisedService {
  #child: Child | undefined;
  #stopping = false;
  #restart: NodeJS.Timeout | undefined;
  #failures = 0;
  #url: string | undefined;

  constructor(
    private readonly name: string,
    private readonly environment: NodeJS.ProcessEnv,
    private readonly say: (line: string) => void,
  ) {}

  /** Resolves with the address once the service listens. @throws when it exits before. */
  async start(): Promise<string> {
    const startedAt = performance.now();
    const child = spawn(process.execPath, [SERVICE_PROGRAM, this.name], {
      // Ctrl-C goes to the orchestrator only, which stops its services in order.
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...this.environment, ...(this.#url !== undefined && { SERVICE_PORT: new URL(this.#url).port }) },
    });
    this.#child = child;
    createInterface(child.stderr).on('line', (line) => this.say(`${this.name}: ${line}`));
    // A process that failed to spawn never exits.
    child.once('error', () => {
      this.#child = undefined;
    });
    child.once('exit', (code, signal) => {
      this.#child = undefined;
      if (performance.now() - startedAt > HEALTHY_MS) this.#failures = 0;
      if (!this.#stopping && this.#url !== undefined) this.#startAgain(signal ?? `exit code ${code}`);
    });
    this.#url = await addressOf(this.name, child);
    this.say(`${this.name} runs at ${this.#url}, process ${child.pid}`);
    return this.#url;
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#restart);
    const child = this.#child;
    if (!child) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    const kill = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    await ended;
    clearTimeout(kill);
  }

  #startAgain(why: string): void {
    const delayMs = Math.min(LAST_RESTART_MS, FIRST_RESTART_MS * 2 ** this.#failures);
    this.#failures += 1;
    this.say(`${this.name} has ended (${why}); it is started again in ${delayMs} ms`);
    this.#restart = setTimeout(() => {
      this.start().catch((error: unknown) => this.say((error as Error).message));
    }, delayMs);
  }
}

/** Services of the local stack, each in a process of its own. */
export class SplitStack {
  /** Address of each service, by name. */
  readonly urls: Readonly<Record<string, string>>;
  readonly #services: readonly SupervisedService[];

  private constructor(urls: Readonly<Record<string, string>>, services: readonly SupervisedService[]) {
    this.urls = urls;
    this.#services = services;
  }

  /** Resolves once every service listens; a failure stops the others. */
  static async start(options: SplitStackOptions): Promise<SplitStack> {
    const names = Object.keys(options.tokens);
    const services = names.map(
      (name) => new SupervisedService(name, environmentOf(name, options), options.say),
    );
    const started = await Promise.allSettled(services.map((service) => service.start()));
    const urls: Record<string, string> = {};
    for (const [at, name] of names.entries()) {
      const result = started[at];
      if (result?.status === 'fulfilled') urls[name] = result.value;
    }
    const stack = new SplitStack(urls, services);
    const failed = started.find((result) => result.status === 'rejected');
    if (!failed) return stack;
    await stack.stop();
    throw failed.reason;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#services.map((service) => service.stop()));
  }
}

function environmentOf(name: string, options: SplitStackOptions): NodeJS.ProcessEnv {
  const { PATH, HOME, NO_COLOR } = process.env;
  return {
    ...(PATH !== undefined && { PATH }),
    ...(HOME !== undefined && { HOME }),
    ...(NO_COLOR !== undefined && { NO_COLOR }),
    ...options.environment,
    ORCHESTRATOR_URL: options.orchestratorUrl,
    SERVICE_TOKEN: options.tokens[name],
    SERVICE_STORAGE: options.storageOf(name),
    SERVICE_ALIVE_MS: String(SPLIT_SILENCE_MS / 3),
  };
}

/** Address in the first line of output. */
function addressOf(name: string, child: Child): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (why: string) => reject(new Error(`the service ${name} did not start: ${why}`));
    const late = setTimeout(() => {
      child.kill('SIGKILL');
      fail(`it said nothing within ${READY_MS} ms`);
    }, READY_MS);
    const lines = createInterface(child.stdout);
    lines.once('line', (line) => {
      clearTimeout(late);
      try {
        resolve(readySchema.parse(JSON.parse(line)).url);
      } catch {
        child.kill('SIGKILL');
        fail(`expected a line that says where it listens, got ${JSON.stringify(cutText(line, 100))}`);
      }
    });
    child.once('error', (error) => {
      clearTimeout(late);
      fail(error.message);
    });
    child.once('exit', (code, signal) => {
      clearTimeout(late);
      fail(`it ended with ${signal ?? `exit code ${code}`}`);
    });
  });
}
