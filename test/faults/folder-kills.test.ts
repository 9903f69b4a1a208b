import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createNetServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { CliProcess, folder } from '../../packages/cli/test/cli-process.js';
import { SeededRandom } from '../../packages/core/test/chaos/seeded-random.js';

const KEY = 'key-of-acme-for-this-test';
/** `KILL_ROUNDS=200` for the long run. */
const ROUNDS = Number(process.env['KILL_ROUNDS'] ?? 12);
const CLIENTS = 4;
const ROUND_MS = 400;

interface Frame {
  readonly event: string;
  readonly id?: string;
  readonly task_id?: string;
  readonly cursor?: string;
  readonly from?: string;
  readonly to?: string;
  readonly rev?: number;
}

/** A service that answers at once, and counts calls for steps whose outcome was recorded. */
async function startService() {
  const begun = new Map<string, number>();
  const repeated: string[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { task_id, input } = JSON.parse(Buffer.concat(chunks).toString()) as {
        readonly task_id: string;
        readonly input: { readonly step: number };
      };
      // A later step was called: the outcome of this one is in the journal.
      if ((begun.get(task_id) ?? 0) > input.step) repeated.push(`${task_id}/${input.step}`);
      begun.set(task_id, Math.max(begun.get(task_id) ?? 0, input.step));
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ result: { step: input.step } }));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, repeated };
}

/** Follows all events of the tenant, over every restart. */
class Follower {
  readonly seqs: number[] = [];
  readonly final = new Map<string, number>();
  readonly gaps: string[] = [];
  #cursor = 'new:0';
  #over = false;
  #socket: WebSocket | undefined;

  constructor(private readonly url: string) {
    this.#connect();
  }

  stop(): void {
    this.#over = true;
    this.#socket?.terminate();
  }

  #connect(): void {
    if (this.#over) return;
    const socket = new WebSocket(`${this.url.replace(/^http/, 'ws')}/ws/client`, {
      headers: { authorization: `Bearer ${KEY}` },
    });
    this.#socket = socket;
    socket.on('open', () =>
      socket.send(
        JSON.stringify({ action: 'subscribe', id: 'a', topic: { tenant: true }, after: this.#cursor }),
      ),
    );
    socket.on('message', (data: Buffer) => this.#read(JSON.parse(data.toString()) as Frame));
    socket.on('error', () => undefined);
    socket.on('close', () => setTimeout(() => this.#connect(), 30));
  }

  #read({ event, cursor, task_id, from, to }: Frame): void {
    if (event === 'gap') {
      this.gaps.push(`${from} to ${to}`);
      this.#cursor = to ?? this.#cursor;
      return;
    }
    if (cursor === undefined || event === 'subscribed') return;
    this.#cursor = cursor;
    this.seqs.push(Number(cursor.split(':')[1]));
    if (task_id !== undefined && (event === 'task_completed' || event === 'task_failed'))
      this.final.set(task_id, (this.final.get(task_id) ?? 0) + 1);
  }
}

async function freePort(): Promise<number> {
  const server = createNetServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

it(`a server on a folder, killed ${ROUNDS} times under load, loses nothing and repeats nothing`, async () => {
  await using place = await folder();
  const service = await startService();
  await writeFile(
    join(place.path, 'orchestrator.config.mjs'),
    `export default {
      apiKeys: { '${KEY}': 'acme' },
      services: { work: { url: '${service.url}' } },
      workflows: {
        steps: async (ctx) => {
          for (const step of [1, 2, 3]) await ctx.call('work', 'do', { step });
          return ctx.run('sum', () => 6);
        },
      },
    };`,
  );
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const start = async () => {
    const process = new CliProcess(['serve', '--json', '--port', String(port)], {
      cwd: place.path,
      hangsMs: 3_600_000,
    });
    await process.printed('stdout', /^\{.*\}$/m);
    return process;
  };
  const random = new SeededRandom('folder-kills');
  const acknowledged = new Set<string>();
  const over = new AbortController();
  let n = 0;
  const client = async () => {
    while (!over.signal.aborted) {
      const key = `key-${n++}`;
      for (;;) {
        const answer = await fetch(`${url}/v1/tasks`, {
          method: 'POST',
          headers: {
            authorization: `Bearer ${KEY}`,
            'content-type': 'application/json',
            'idempotency-key': key,
          },
          body: JSON.stringify({ type: 'steps', payload: key, max_attempts: 100 }),
        }).then(
          async (response) => (response.status === 202 ? ((await response.json()) as Frame) : undefined),
          () => undefined,
        );
        if (answer?.task_id !== undefined) {
          acknowledged.add(answer.task_id);
          break;
        }
        await pause(20);
      }
      await pause(10);
    }
  };
  let server = await start();
  const follower = new Follower(url);
  onTestFinished(() => follower.stop());
  const clients = Array.from({ length: CLIENTS }, client);
  for (let round = 0; round < ROUNDS; round += 1) {
    await pause(random.below(ROUND_MS));
    server.kill('SIGKILL');
    await server.ended;
    server = await start();
  }
  over.abort();
  await Promise.all(clients);
  while ([...acknowledged].some((id) => !follower.final.has(id))) await pause(50);
  follower.stop();
  const { seqs, gaps, final } = follower;
  const wrong = seqs.filter((seq, at) => at > 0 && seq !== (seqs[at - 1] ?? 0) + 1);
  const notOnce = [...acknowledged].filter((id) => final.get(id) !== 1);
  const statuses = new Map<string, number>();
  for (const id of acknowledged) {
    const answer = await fetch(`${url}/v1/tasks/${id}`, { headers: { authorization: `Bearer ${KEY}` } });
    const { status, error } = (await answer.json()) as {
      readonly status: string;
      readonly error?: { readonly code: string };
    };
    const end = error?.code ?? status;
    statuses.set(end, (statuses.get(end) ?? 0) + 1);
  }
  console.log(
    `${ROUNDS} kills: ${acknowledged.size} acknowledged (${JSON.stringify(Object.fromEntries(statuses))}), ${seqs.length} events, ` +
      `${wrong.length} twice, missing or out of order, ${gaps.length} gaps (${gaps.join(', ')}), ${service.repeated.length} recorded calls made again`,
  );
  server.kill('SIGTERM');
  await server.ended;
  expect(acknowledged.size).toBeGreaterThan(ROUNDS);
  expect({ wrong, notOnce, repeated: service.repeated }).toEqual({ wrong: [], notOnce: [], repeated: [] });
  // Three kills in a row may hit the same task: then it counts as what has killed its worker.
  statuses.delete('worker_lost');
  expect([...statuses.keys()]).toEqual(['completed']);
  // A frame cut in the middle renews the logs: the client is told.
  expect(gaps.length).toBeLessThanOrEqual(ROUNDS);
}, 3_600_000);
