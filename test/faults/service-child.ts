import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { MARKS_REJECTIONS, watchStderr } from '@agent-orchestrator/test-servers';
import { onTestFinished } from 'vitest';
import { TOKENS } from './killable-hub.js';

const PROGRAM = fileURLToPath(new URL('service-program.mjs', import.meta.url));

interface Line {
  readonly port?: number;
  readonly call_id?: string;
  readonly attempt?: number;
}

/** The service `query` as a process of its own, which can be killed. It ends with the test. */
export class ServiceChild {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;
  readonly #refuseUnhandled: () => void;
  port = 0;

  private constructor(child: ChildProcessWithoutNullStreams, lines: AsyncIterator<string>) {
    this.#child = child;
    this.#lines = lines;
    this.#refuseUnhandled = watchStderr(child.stderr, PROGRAM);
  }

  /** @param port 0 for any free port. */
  static async start(port: number, hubUrl: string, { reports = false } = {}): Promise<ServiceChild> {
    const { PATH = '' } = process.env;
    const env = {
      PATH,
      ...MARKS_REJECTIONS,
      SERVICE_PORT: String(port),
      SERVICE_TOKEN: TOKENS.query,
      ORCHESTRATOR_URL: hubUrl,
      ...(reports && { SERVICE_REPORTS: 'yes' }),
    };
    const child = spawn(process.execPath, [PROGRAM], { env });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const service = new ServiceChild(child, lines);
    onTestFinished(() => service.kill());
    service.port = (await service.#next()).port ?? 0;
    return service;
  }

  /** The next answered call. */
  async answered(): Promise<{ readonly callId: string; readonly attempt: number }> {
    const { call_id: callId = '', attempt = 0 } = await this.#next();
    return { callId, attempt };
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const exited = once(this.#child, 'exit');
      this.#child.kill('SIGKILL');
      await exited;
    }
    this.#refuseUnhandled();
  }

  async #next(): Promise<Line> {
    const line = await this.#lines.next();
    if (line.done) throw new Error('expected another line of the service, got its end');
    return JSON.parse(line.value) as Line;
  }
}
