import { describe, expect, it, onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { EventCollector } from './event-collector.js';
import { KillableHub, TOKENS, until } from './killable-hub.js';
import { reply, ScriptedService } from './scripted-service.js';

/** Format of Python's `json.dumps`: blanks after separators, ASCII only. */
function dumps(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(dumps).join(', ')}]`;
  if (typeof value === 'object' && value !== null) {
    const fields = Object.entries(value).map(([key, field]) => `${dumps(key)}: ${dumps(field)}`);
    return `{${fields.join(', ')}}`;
  }
  return JSON.stringify(value).replace(
    /[^\x20-\x7e]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Format of Python's `datetime.utcnow().isoformat()`: microseconds, if any, and no zone. */
function isoformat({ micros = true } = {}): string {
  const text = new Date().toISOString().slice(0, 19);
  return micros ? `${text}.${String(Date.now() % 1_000).padStart(3, '0')}123` : text;
}

/** The notifier of the specification, call by call: the same frames with the same fields only. */
class SpecifiedNotifier {
  readonly frames: Record<string, unknown>[] = [];
  readonly #socket: WebSocket;

  private constructor(
    url: string,
    private readonly serviceName: string,
  ) {
    this.#socket = new WebSocket(`${url.replace(/^http/, 'ws')}/ws/task_updates`);
    onTestFinished(() => this.#socket.terminate());
  }

  static async connect(url: string, serviceName: keyof typeof TOKENS): Promise<SpecifiedNotifier> {
    const notifier = new SpecifiedNotifier(url, serviceName);
    const socket = notifier.#socket;
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.once('open', () => resolve());
    });
    const answered = new Promise<Record<string, unknown>>((resolve) => {
      socket.once('message', (data: Buffer) => resolve(JSON.parse(data.toString()) as never));
    });
    socket.send(dumps({ service_token: TOKENS[serviceName], service_name: serviceName }));
    if ((await answered)['status'] !== 'authenticated') throw new Error('Authentication failed');
    socket.on('message', (data: Buffer) => notifier.frames.push(JSON.parse(data.toString()) as never));
    return notifier;
  }

  notifyTaskStatus(taskId: string, tenantId: string, status: string, details?: unknown, globalId?: string) {
    const data = { status, details: details ?? {} };
    this.#notify('task_status_update', taskId, tenantId, data, globalId);
  }

  notifyTaskCompletion(taskId: string, tenantId: string, result: unknown, globalId?: string) {
    this.#notify('task_completed', taskId, tenantId, result, globalId);
  }

  notifyTaskFailure(taskId: string, tenantId: string, error: Error, globalId?: string) {
    const data = { error: error.message, error_type: error.name };
    this.#notify('task_failed', taskId, tenantId, data, globalId);
  }

  send(frame: object): void {
    this.#socket.send(dumps(frame));
  }

  /** Resolves once all earlier frames are handled: the hub answers a ping in order. */
  async ping(): Promise<void> {
    const pong = new Promise((resolve) => this.#socket.once('pong', resolve));
    this.#socket.ping();
    await pong;
  }

  #notify(event: string, taskId: string, tenantId: string, data: unknown, globalId?: string): void {
    this.send({
      event,
      service: this.serviceName,
      task_id: taskId,
      global_task_id: globalId ?? null,
      tenant_id: tenantId,
      timestamp: isoformat(),
      data,
    });
  }
}

async function prepared() {
  const hub = await KillableHub.start();
  const service = await ScriptedService.start(({ nth }, response) =>
    reply(response, 202, { job_id: `trabajo ñ ${nth}` }),
  );
  hub.orchestrator.service('query', { url: service.url() });
  const client = await new EventCollector(hub.url).start();
  const notifier = await SpecifiedNotifier.connect(hub.url, 'query');
  const begin = async () => {
    const taskId = await hub.submit('query', {}, { session_id: 's-1', on_busy: 'parallel', max_attempts: 1 });
    const jobOf = async () => (await hub.acme.tasks.get(taskId)).delegated_services[0]?.task_id;
    await until(async () => (await jobOf()) !== undefined);
    return { taskId, job: (await jobOf()) as string };
  };
  return { hub, client, notifier, begin };
}

describe('a service with the notifier of the specification', () => {
  it.each([
    ['an answer', { answer: 'Sí, señor', sources: [] }],
    ['0', 0],
    ['an empty text', ''],
    ['an empty list', []],
    ['null', null],
    ['false', false],
  ])('completes a task, after progress, with %s', async (_, result) => {
    const { client, notifier, begin } = await prepared();
    const { taskId, job } = await begin();
    notifier.notifyTaskStatus(job, 'acme', 'procesando', { percent: 40, paso: 'búsqueda' }, taskId);
    notifier.notifyTaskStatus(job, 'acme', 'casi');
    notifier.notifyTaskCompletion(job, 'acme', result, taskId);
    const final = await client.final(taskId);
    expect(final).toMatchObject({ event: 'task_completed', task_id: taskId, data: result });
    const progress = client.events.get(taskId)?.filter(({ event }) => event === 'task_status_update');
    expect(progress).toMatchObject([
      { service: 'query', data: { status: 'procesando', details: { percent: 40, paso: 'búsqueda' } } },
      { service: 'query', data: { status: 'casi', details: {} } },
    ]);
    expect([client.violations, notifier.frames]).toEqual([[], []]);
  });

  it('fails a task', async () => {
    const { client, notifier, begin } = await prepared();
    const { taskId, job } = await begin();
    const error = new Error('no existe la colección');
    error.name = 'KeyError';
    notifier.notifyTaskFailure(job, 'acme', error);
    expect(await client.final(taskId)).toMatchObject({
      event: 'task_failed',
      data: { code: 'service_error', message: expect.stringContaining('no existe la colección') },
    });
    expect([client.violations, notifier.frames]).toEqual([[], []]);
  });

  it('completes a task with the older message format', async () => {
    const { client, notifier, begin } = await prepared();
    const { taskId, job } = await begin();
    const older = { event: 'job_completed', service: 'query', job_id: job, tenant_id: 'acme' };
    notifier.send({ ...older, agent_id: 'agent-id-opcional', result: { ok: true } });
    expect(await client.final(taskId)).toMatchObject({ event: 'task_completed', data: { ok: true } });
    expect([client.violations, notifier.frames]).toEqual([[], []]);
  });

  it('sends every field of the format, and a time without microseconds', async () => {
    const { hub, client, notifier, begin } = await prepared();
    const { taskId, job } = await begin();
    notifier.send({
      event: 'task_completed',
      service: 'query',
      task_id: job,
      global_task_id: taskId,
      tenant_id: 'acme',
      timestamp: isoformat({ micros: false }),
      data: { answer: 42 },
      metadata: { modelo: 'x', usage: { tokens: 7, model: 'x' } },
    });
    expect(await client.final(taskId)).toMatchObject({ data: { answer: 42 } });
    expect((await hub.acme.tasks.get(taskId)).usage).toMatchObject({ tokens: 7 });
    expect([client.violations, notifier.frames]).toEqual([[], []]);
  });

  it('gets no answer to repeated and unknown notifications, and stays connected', async () => {
    const { client, notifier, begin } = await prepared();
    const { taskId, job } = await begin();
    notifier.notifyTaskCompletion(job, 'acme', 1);
    notifier.notifyTaskCompletion(job, 'acme', 1);
    notifier.notifyTaskCompletion(job, 'acme', 2);
    notifier.notifyTaskCompletion('unknown', 'acme', 3);
    notifier.notifyTaskCompletion(job, 'globex', 4);
    await notifier.ping();
    expect((await client.final(taskId)).data).toBe(1);
    const next = await begin();
    notifier.notifyTaskCompletion(next.job, 'acme', 5);
    expect((await client.final(next.taskId)).data).toBe(5);
    expect([client.violations, notifier.frames]).toEqual([[], []]);
  });
});
