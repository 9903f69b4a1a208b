import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { freePort } from '@agent-orchestrator/test-servers';
import { expect, it, onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { CliProcess, folder } from '../../packages/cli/test/cli-process.js';
import { SeededRandom } from '../../packages/core/test/chaos/seeded-random.js';

const KEY = 'key-of-acme-for-this-test';
/** `KILL_ROUNDS=200` for the long run. */
const ROUNDS = Number(process.env['KILL_ROUNDS'] ?? 12);
const CLIENTS = 4;
const ROUND_MS = 400;
/** Far above what is left to do after the last kill. */
/** States of its tasks at the end; three kills in a row may hit the same task: then it counts as what has killed its worker. */
const FINAL = new Set(['completed', 'worker_lost']);
const STUCK_MS = 300_000;

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

/** Follows all events of the tenant from its first subscription on, over every restart. */
class Follower {
  /** Resolves with the first subscription. */
  readonly subscribed: Promise<void>;
  /** Number of events. */
  told = 0;
  /** Positions that did not come next. */
  readonly wrong: string[] = [];
  readonly final = new Map<string, number>();
  readonly gaps: string[] = [];
  #isSubscribed: () => void = () => {};
  #cursor: string | undefined;
  #over = false;
  #socket: WebSocket | undefined;

  constructor(private readonly url: string) {
    this.subscribed = new Promise((resolve) => {
      this.#isSubscribed = resolve;
    });
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
        JSON.stringify({
          action: 'subscribe',
          id: 'a',
          topic: { tenant: true },
          ...(this.#cursor !== undefined && { after: this.#cursor }),
        }),
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
    if (cursor === undefined) return;
    if (event === 'subscribed') {
      this.#cursor ??= cursor;
      this.#isSubscribed();
      return;
    }
    if (seqOf(cursor) !== seqOf(this.#cursor) + 1) this.wrong.push(`${this.#cursor} then ${cursor}`);
    this.told += 1;
    this.#cursor = cursor;
    if (task_id !== undefined && (event === 'task_completed' || event === 'task_failed'))
      this.final.set(task_id, (this.final.get(task_id) ?? 0) + 1);
  }
}

const seqOf = (cursor = '') => Number(cursor.split(':')[1]);

it(
  `a server on a folder, killed ${ROUNDS} times under load, loses nothing and repeats nothing`,
  async () => {
    await using place = await folder();
    const service = await startService();
    await writeFile(
      join(place.path, 'orchestrator.config.mjs'),
      `export default {
      apiKeys: { '${KEY}': 'acme' },
      rates: { tenant: false },
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
            signal: AbortSignal.timeout(STUCK_MS),
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
    await follower.subscribed;
    const clients = Array.from({ length: CLIENTS }, client);
    for (let round = 0; round < ROUNDS; round += 1) {
      // Half of the servers live until they have acknowledged something, the others may be killed before.
      const enough = round % 2 === 0 ? acknowledged.size + 1 : 0;
      for (let waited = 0; acknowledged.size < enough; waited += 10) {
        if (waited > STUCK_MS) throw new Error(`round ${round}: nothing was acknowledged`);
        await pause(10);
      }
      await pause(random.below(ROUND_MS));
      server.kill('SIGKILL');
      await server.ended;
      server = await start();
    }
    over.abort();
    await Promise.all(clients);
    const stateOf = async (id: string) => {
      const answer = await fetch(`${url}/v1/tasks/${id}`, { headers: { authorization: `Bearer ${KEY}` } });
      const { status, error } = (await answer.json()) as {
        readonly status: string;
        readonly error?: { readonly code: string };
      };
      return error?.code ?? status;
    };
    /** Tasks whose last event may be one that a gap has skipped: their state says that they are final. */
    const skipped = new Set<string>();
    const unfinished = () => [...acknowledged].filter((id) => !follower.final.has(id) && !skipped.has(id));
    for (let waited = 0; unfinished().length > 0; waited += 50) {
      if (waited > STUCK_MS) {
        const states = await Promise.all(unfinished().map(async (id) => `${id} ${await stateOf(id)}`));
        throw new Error(`not final: ${states.join(', ')}`);
      }
      if (follower.gaps.length > 0)
        for (const id of unfinished()) if (FINAL.has(await stateOf(id))) skipped.add(id);
      await pause(50);
    }
    follower.stop();
    const { told, wrong, gaps, final } = follower;
    const notOnce = [...acknowledged].filter((id) => final.get(id) !== 1 && !skipped.has(id));
    const statuses = new Map<string, number>();
    for (const id of acknowledged) {
      const end = await stateOf(id);
      statuses.set(end, (statuses.get(end) ?? 0) + 1);
    }
    console.log(
      `${ROUNDS} kills: ${acknowledged.size} acknowledged (${JSON.stringify(Object.fromEntries(statuses))}), ${told} events, ` +
        `${wrong.length} twice, missing or out of order, ${gaps.length} gaps (${gaps.join(', ')}) that skipped the end of ${skipped.size} tasks, ${service.repeated.length} recorded calls made again`,
    );
    server.kill('SIGTERM');
    await server.ended;
    expect(acknowledged.size).toBeGreaterThanOrEqual(ROUNDS / 2);
    expect({ wrong, notOnce, repeated: service.repeated }).toEqual({ wrong: [], notOnce: [], repeated: [] });
    expect([...statuses.keys()].filter((status) => !FINAL.has(status))).toEqual([]);
    expect(statuses.get('completed')).toBeGreaterThan(0);
    // A frame cut in the middle renews the logs: the client is told.
    expect(gaps.length).toBeLessThanOrEqual(ROUNDS);
  },
  60_000 + STUCK_MS + 20_000 * ROUNDS,
);
