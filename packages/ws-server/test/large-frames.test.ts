import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { type RunningServer, startServer, TOKENS } from './running-server.js';
import { SocketPeer } from './socket-peer.js';

const PORTION = 64 * 1024;
const ROWS = `[${'{"n":1,"text":"ab"},'.repeat(40_000)}0]`;

async function connected(running: RunningServer): Promise<SocketPeer> {
  const headers = { authorization: `Bearer ${TOKENS.query}` };
  const peer = new SocketPeer(`${running.url}/ws/task_updates`, headers);
  expect(await peer.next()).toMatchObject({ status: 'authenticated' });
  return peer;
}

/** A task whose call to the service `query` is under way as `jobId`. */
async function openCall(running: RunningServer, jobId: string): Promise<string> {
  const taskId = await running.submit('query', { later: jobId });
  for (;;) {
    const task = await running.orchestrator.tenant('acme').tasks.get(taskId);
    if (task.delegated_services[0]?.task_id === jobId) return taskId;
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

const about = (jobId: string) => ({ service: 'query', task_id: jobId, tenant_id: 'acme' });
/** A frame whose `data` is a text of JSON already. */
const frame = (fields: object, data: string) => `${JSON.stringify(fields).slice(0, -1)},"data":${data}}`;

describe('a large frame of a service', () => {
  it('is parsed in portions, and never serialised', async () => {
    const running = await startServer();
    const peer = await connected(running);
    const taskId = await openCall(running, 'job');
    const parse = vi.spyOn(JSON, 'parse');
    const write = vi.spyOn(JSON, 'stringify');
    onTestFinished(() => {
      vi.restoreAllMocks();
    });
    peer.send(frame({ event: 'task_completed', ...about('job'), message_id: 'm' }, ROWS));
    expect(await peer.next()).toMatchObject({ message_id: 'm', outcome: 'applied' });
    const read = parse.mock.calls.map(([text]) => text.length);
    const written = write.mock.results.map(({ value }) => String(value).length);
    vi.restoreAllMocks();
    expect(Math.max(...read, ...written)).toBeLessThan(2 * PORTION);
    const task = await running.orchestrator.tenant('acme').tasks.wait(taskId);
    expect(task).toMatchObject({ status: 'completed' });
  });

  it('is handled before frames sent after it', async () => {
    const running = await startServer();
    const peer = await connected(running);
    await openCall(running, 'job');
    const status = { event: 'task_status_update', ...about('job') };
    for (const [seq, size] of ['large', 'small', 'large', 'small'].entries()) {
      const details = size === 'large' ? ROWS : '0';
      peer.send(
        frame({ ...status, message_id: `m${seq}`, seq }, `{"status":"${size}","details":${details}}`),
      );
    }
    const acks = [await peer.next(), await peer.next(), await peer.next(), await peer.next()];
    // One that came before another would make that one stale.
    expect(acks.map(({ message_id, outcome }) => `${String(message_id)} ${String(outcome)}`)).toEqual([
      'm0 applied',
      'm1 applied',
      'm2 applied',
      'm3 applied',
    ]);
  });

  it('is handled even if the service closes the connection after it', async () => {
    const running = await startServer();
    const peer = await connected(running);
    const taskId = await openCall(running, 'job');
    peer.send(frame({ event: 'task_completed', ...about('job') }, ROWS));
    peer.socket.close();
    const task = await running.orchestrator.tenant('acme').tasks.wait(taskId);
    expect(task.status).toBe('completed');
  });

  it('is refused with a reason if it is not JSON', async () => {
    const running = await startServer();
    const peer = await connected(running);
    peer.send(frame({ event: 'task_completed', ...about('job') }, `${ROWS}]`));
    expect(await peer.next()).toMatchObject({ event: 'error', code: 'invalid_message' });
    peer.send(frame({ event: 'task_completed', ...about('job'), message_id: 'm', call_id: null }, '1'));
    expect(await peer.next()).toMatchObject({ message_id: 'm' });
  });
});
