import { describe, expect, it } from 'vitest';
import { type RunningServer, startServer, TOKENS } from './running-server.js';
import { SocketPeer } from './socket-peer.js';

const LARGE = `[${'{"n":1,"text":"ab"},'.repeat(40_000)}0]`;
const LONG = `"${'x'.repeat(70_000)}"`;

const frame = (event: string, jobId: string, data: string, more: object = {}) =>
  `${JSON.stringify({ event, service: 'query', tenant_id: 'acme', task_id: jobId, ...more }).slice(0, -1)},"data":${data}}`;

/** A task whose service has taken its job on. */
async function openCall(running: RunningServer, jobId: string): Promise<string> {
  const taskId = await running.submit('query', { later: jobId });
  const job = async () => {
    const { delegated_services: calls } = await running.orchestrator.tenant('acme').tasks.get(taskId);
    return calls[0]?.task_id;
  };
  await expect.poll(job).toBe(jobId);
  return taskId;
}

const updates = (count: number) =>
  Array.from({ length: count }, (_, n) =>
    frame('task_status_update', 'one', '{"status":"busy"}', { seq: n + 1 }),
  );

describe('frames sent by a service before it closes', () => {
  it.each([
    ['outcomes', [frame('task_completed', 'one', '1'), frame('task_completed', 'two', '1')]],
    [
      'an outcome behind a large one',
      [frame('task_completed', 'one', LARGE), frame('task_completed', 'two', '1')],
    ],
    ['large ones in a row', [frame('task_completed', 'one', LONG), frame('task_completed', 'two', LONG)]],
    [
      'outcomes behind more frames than are handled in a row',
      [
        ...updates(60),
        frame('task_completed', 'one', '1'),
        ...updates(60),
        frame('task_completed', 'two', '1'),
      ],
    ],
  ])('are accepted: %s', async (_, frames) => {
    const running = await startServer();
    const headers = { authorization: `Bearer ${TOKENS.query}` };
    const peer = new SocketPeer(`${running.url}/ws/task_updates`, headers);
    expect(await peer.next()).toMatchObject({ status: 'authenticated' });
    const taskIds = [await openCall(running, 'one'), await openCall(running, 'two')];
    for (const text of frames) peer.send(text);
    peer.socket.close();
    const { tasks } = running.orchestrator.tenant('acme');
    const ended = await Promise.all(taskIds.map((taskId) => tasks.wait(taskId, { timeoutMs: 10_000 })));
    expect(ended.map(({ status }) => status)).toEqual(['completed', 'completed']);
  });
});
