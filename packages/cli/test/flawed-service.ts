import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocket } from 'ws';

export type Frame = Record<string, unknown>;

export interface HttpAnswer {
  readonly status: number;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly afterMs?: number;
}

interface Request {
  readonly operation: string;
  readonly text: string;
  readonly token: string | undefined;
  /** Absent if it is not JSON. */
  readonly call: Frame | undefined;
}

/** What a service does wrong; by default nothing. */
export interface Flaws {
  /** What is answered in the place of the usual. */
  readonly answer?: ((usual: HttpAnswer, request: Request) => HttpAnswer) | undefined;
  /** What is sent in the place of a notification. */
  readonly send?: (frame: Frame) => readonly (Frame | string | Buffer)[];
  /** What is sent after the outcome. */
  readonly afterOutcome?: (frame: Frame) => readonly Frame[];
  readonly hello?: (hello: Frame) => Frame;
  readonly path?: string;
  readonly pongs?: boolean;
  /** Whether a call is taken for one that was there before. Default: by its `call_id`. */
  readonly knows?: (
    callId: string,
    known: { readonly answered: boolean; readonly ended: boolean },
  ) => boolean;
  /** It begins the work again for a call that it knows. */
  readonly worksAgain?: boolean;
  readonly jobId?: (call: Frame) => string;
  /** Whether a call that it does not know is kept waiting for its answer until the same one has come once more. */
  readonly waitsForTwin?: () => boolean;
  /** `undefined`: it does not come back. */
  readonly reconnectMs?: number | undefined;
  /** How often it dials at once when its connection is lost, beside the one time that is due. */
  readonly knocks?: number;
  /** What is sent over a new connection, for what had no ack. */
  readonly again?: (unacked: readonly Frame[]) => readonly Frame[];
  /** When something that was put off is sent again. */
  readonly retryMs?: (asked: number) => number | undefined;
  readonly onCancel?: 'stops' | 'goes_on' | 'hangs_up';
  readonly reportsOver?: 'socket' | 'http';
  /** How many notifications of progress a job sends. */
  readonly steps?: () => number;
}

export interface FlawedServiceOptions {
  readonly hubUrl: string;
  readonly token: string;
  readonly flaws?: Flaws;
}

interface Known {
  readonly answer: HttpAnswer;
  answered: boolean;
  ended: boolean;
}

const STEPS = 3;
const STEP_MS = 10;
/** What goes on although it is cancelled ends after as many. */
const WASTED_STEPS = 200;

/**
 * A service on plain `node:http` and a plain socket: `quick` answers at once, `work` with a job. It keeps to the contract
 * but for its flaws.
 */
export class FlawedService implements AsyncDisposable {
  readonly #options: FlawedServiceOptions;
  readonly #flaws: Flaws;
  readonly #server = createServer((request, response) => void this.#serve(request, response));
  readonly #known = new Map<string, Known>();
  readonly #unacked = new Map<unknown, Frame>();
  readonly #cancelled = new Set<unknown>();
  /** By call: lets the first one that came with it go on. */
  readonly #twins = new Map<string, () => void>();
  /** What came up while there was no connection. */
  #unsent: (Frame | string | Buffer)[] = [];
  /** One after the other, so that they come in order. */
  #posted: Promise<void> = Promise.resolve();
  #socket: WebSocket | undefined;
  #admitted = false;
  #stopped = false;

  private constructor(options: FlawedServiceOptions) {
    this.#options = options;
    this.#flaws = { reconnectMs: 60, onCancel: 'stops', reportsOver: 'socket', ...options.flaws };
  }

  static async start(options: FlawedServiceOptions): Promise<FlawedService> {
    const service = new FlawedService(options);
    await new Promise<void>((resolve) => service.#server.listen(0, '127.0.0.1', resolve));
    if (service.#flaws.reportsOver === 'socket') service.#connect();
    return service;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    this.#socket?.terminate();
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString();
    const asked = {
      operation: (request.url ?? '').slice(1),
      text,
      token: /^Bearer (.*)$/.exec(request.headers.authorization ?? '')?.[1],
      call: parsed(text),
    };
    const usual = await this.#usual(asked);
    const answer = this.#flaws.answer?.(usual, asked) ?? usual;
    await pause(answer.afterMs ?? 0);
    const body = typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body);
    response.writeHead(answer.status, { 'content-type': 'application/json', ...answer.headers }).end(body);
  }

  async #usual({ operation, token, call }: Request): Promise<HttpAnswer> {
    if (token !== this.#options.token) return problem(401, 'unauthorized');
    if (!call) return problem(400, 'invalid_request');
    if (operation !== 'work' && operation !== 'quick') return problem(404, 'not_found');
    const { n } = call['input'] as Frame;
    if (typeof n !== 'number') return problem(400, 'invalid_request');
    return operation === 'quick' ? { status: 200, body: { result: n + 1 } } : this.#accept(call, n);
  }

  async #accept(call: Frame, n: number): Promise<HttpAnswer> {
    const id = call['call_id'] as string;
    const known = this.#known.get(id);
    if (known && (this.#flaws.knows?.(id, known) ?? true)) {
      if (this.#flaws.worksAgain) void this.#work(call, known, n);
      return known.answer;
    }
    const job = this.#flaws.jobId?.(call) ?? `job-${randomUUID()}`;
    const entry: Known = { answer: { status: 202, body: { job_id: job } }, answered: false, ended: false };
    this.#known.set(id, entry);
    this.#twins.get(id)?.();
    if (this.#flaws.waitsForTwin?.() && !known) {
      await new Promise<void>((resolve) => this.#twins.set(id, resolve));
    }
    entry.answered = true;
    void this.#work(call, entry, n);
    return entry.answer;
  }

  async #work(call: Frame, entry: Known, n: number): Promise<void> {
    const { job_id: task_id } = entry.answer.body as Frame;
    const about = { service: 'flawed', task_id, call_id: call['call_id'], tenant_id: call['tenant_id'] };
    let left = this.#flaws.steps?.() ?? STEPS;
    for (let step = 1; left > 0; step += 1, left -= 1) {
      await pause(STEP_MS);
      if (this.#stopped) return;
      if (this.#cancelled.has(call['call_id'])) {
        if (this.#flaws.onCancel !== 'goes_on') return;
        left = Math.min(left, WASTED_STEPS);
      }
      const data = { status: 'working', details: { step } };
      this.#notify({ event: 'task_status_update', ...about, data, message_id: randomUUID() });
    }
    const outcome = { event: 'task_completed', ...about, data: { n: n + 1 }, message_id: randomUUID() };
    this.#notify(outcome);
    entry.ended = true;
    for (const frame of this.#flaws.afterOutcome?.(outcome) ?? []) this.#notify(frame);
  }

  #notify(frame: Frame): void {
    if (this.#stopped) return;
    for (const sent of this.#flaws.send?.(frame) ?? [frame]) {
      if (this.#flaws.reportsOver === 'http') {
        this.#posted = this.#posted.then(() => this.#post(sent as Frame));
      } else if (this.#admitted) this.#transmit(sent);
      else this.#unsent.push(sent);
    }
  }

  #transmit(sent: Frame | string | Buffer): void {
    if (Buffer.isBuffer(sent)) {
      this.#socket?.send(sent, { binary: true });
    } else if (typeof sent === 'string') {
      this.#socket?.send(sent);
    } else {
      if (sent['message_id'] !== undefined) this.#unacked.set(sent['message_id'], sent);
      this.#socket?.send(JSON.stringify(sent));
    }
  }

  #connect(): void {
    if (this.#stopped) return;
    const { path = '/ws/task_updates', pongs = true, reconnectMs, hello, again } = this.#flaws;
    const url = `${this.#options.hubUrl.replace('http', 'ws')}${path}`;
    const socket = new WebSocket(url, { autoPong: pongs });
    this.#socket = socket;
    socket.on('open', () => {
      const first = { service_token: this.#options.token, service_name: 'flawed' };
      socket.send(JSON.stringify(hello?.(first) ?? first));
    });
    socket.on('message', (data) => {
      const frame = JSON.parse((data as Buffer).toString()) as Frame;
      if (frame['status'] === 'authenticated') {
        this.#admitted = true;
        const unacked = [...this.#unacked.values()];
        for (const each of again?.(unacked) ?? unacked) this.#transmit(each);
        for (const each of this.#unsent.splice(0)) this.#transmit(each);
      }
      this.#heard(frame);
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      if (this.#admitted && !this.#stopped) this.#knock(url);
      this.#admitted = false;
      if (reconnectMs !== undefined) setTimeout(() => this.#connect(), reconnectMs).unref();
    });
  }

  #knock(url: string): void {
    for (let knock = 0; knock < (this.#flaws.knocks ?? 0); knock += 1) {
      const socket = new WebSocket(url);
      socket.on('error', () => {});
      socket.on('open', () => socket.close());
    }
  }

  #heard(frame: Frame): void {
    const { event, message_id, call_id } = frame;
    if (event === 'ack' && frame['outcome'] !== 'retry_later') this.#unacked.delete(message_id);
    if (event === 'ack' && frame['outcome'] === 'retry_later') {
      const asked = frame['retry_after_ms'] as number;
      const afterMs = this.#flaws.retryMs ? this.#flaws.retryMs(asked) : asked;
      const sent = this.#unacked.get(message_id);
      if (sent && afterMs === 0) this.#transmit(sent);
      else if (sent && afterMs !== undefined) setTimeout(() => this.#transmit(sent), afterMs);
    }
    if (event !== 'task_cancel') return;
    this.#cancelled.add(call_id);
    if (this.#flaws.onCancel === 'hangs_up') this.#socket?.terminate();
  }

  async #post(frame: Frame): Promise<void> {
    for (;;) {
      try {
        const response = await fetch(`${this.#options.hubUrl}/internal/v1/notifications`, {
          method: 'POST',
          headers: {
            authorization: `Bearer ${this.#options.token}`,
            'content-type': 'application/json',
          },
          body: JSON.stringify(frame),
        });
        if (response.status === 200) return;
        const { retry_after_ms: asked } = (await response.json()) as { retry_after_ms: number };
        await pause(asked);
      } catch {
        // The hub is away.
        if (this.#stopped) return;
        await pause(150);
      }
    }
  }
}

export function problem(status: number, code?: string): HttpAnswer {
  return { status, body: { title: 'no', status, ...(code !== undefined && { code }) } };
}

function parsed(text: string): Frame | undefined {
  try {
    return JSON.parse(text) as Frame;
  } catch {
    return undefined;
  }
}

async function pause(ms: number): Promise<void> {
  if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
}
