import { type JsonValue, OrchestratorError } from '@agent-orchestrator/core';
import { ManualClock } from '@agent-orchestrator/core/testing';
import { describe, expect, it } from 'vitest';
import type { Identity } from '../src/index.js';
import { type RunningServer, startServer } from './running-server.js';
import { SocketPeer } from './socket-peer.js';

const CLIENT = { kind: 'client', tenant: 'acme', scopes: new Set<never>() } as const;
const SERVICE = { kind: 'service', service: 'query' } as const;

const HEARTBEAT_MS = 15_000;

/** A host whose answer for every token is in the test's hands. */
async function hosted(first: Identity) {
  let answer: () => Identity | undefined = () => first;
  const clock = new ManualClock();
  const running = await startServer({ clock, identities: { authenticate: () => answer() } });
  const now = (next: () => Identity | undefined) => (answer = next);
  return { running, now, beat: () => clock.advance(HEARTBEAT_MS) };
}

const opened = (running: RunningServer, path: string) =>
  new SocketPeer(running.url + path, { authorization: 'Bearer any' });

async function stream(running: RunningServer, path: string) {
  const response = await running.fetch('GET', path, { token: 'any' });
  expect(response.status).toBe(200);
  return response;
}

/** The last event of a stream that ends by itself. */
async function lastOf(response: Response): Promise<{ event: string; data: Record<string, JsonValue> }> {
  const blocks = (await response.text()).trim().split('\n\n');
  const [event, data] = (blocks.at(-1) ?? '').split('\n');
  return {
    event: event?.replace('event: ', '') ?? '',
    data: JSON.parse(data?.replace('data: ', '') ?? '') as Record<string, JsonValue>,
  };
}

describe('a credential in use', () => {
  it.each([
    ['is revoked', () => undefined],
    [
      'has expired',
      () => {
        throw new OrchestratorError('unauthorized', 'expired');
      },
    ],
    ['belongs to another tenant', (): Identity => ({ ...CLIENT, tenant: 'globex' })],
    ['is one of operators', (): Identity => ({ kind: 'operator' })],
  ])('that %s closes client sockets, service sockets and streams alike', async (_, next) => {
    const host = await hosted(CLIENT);
    const { running } = host;
    await running.orchestrator.tenant('acme').sessions.create({ session_id: 'talk' });
    const task = await running.submit('approval');
    const streams = [
      await stream(running, '/v1/sessions/talk/events'),
      await stream(running, `/v1/tasks/${task}/events`),
    ];
    const client = opened(running, '/ws/client');
    await client.opened;
    host.now(() => SERVICE);
    const service = opened(running, '/ws/task_updates');
    expect(await service.next()).toMatchObject({ status: 'authenticated' });
    host.now(next);
    await host.beat();
    expect(await client.closed).toMatchObject({ code: 4401 });
    expect(await service.closed).toMatchObject({ code: 4401 });
    for (const response of streams) {
      const { event, data } = await lastOf(response);
      expect([event, data['code']]).toEqual(['error', 'unauthorized']);
    }
  });

  it('that cannot be checked for long ends a stream with an error event', async () => {
    const host = await hosted(CLIENT);
    await host.running.orchestrator.tenant('acme').sessions.create({ session_id: 'talk' });
    const response = await stream(host.running, '/v1/sessions/talk/events');
    host.now(() => {
      throw new OrchestratorError('service_unavailable', 'away');
    });
    for (let n = 0; n < 4; n += 1) await host.beat();
    expect((await lastOf(response)).data['code']).toBe('service_unavailable');
  });

  it('with a narrowed scope limits the open socket in both directions', async () => {
    const host = await hosted(SERVICE);
    const service = opened(host.running, '/ws/task_updates');
    const { connection_id } = await service.next();
    let n = 0;
    const outcomeFor = async (tenant_id: string) => {
      n += 1;
      service.send({
        ...{ event: 'task_status_update', service: 'query', task_id: 'none', tenant_id, metadata: {} },
        ...{ timestamp: '2026-01-01T00:00:00Z', data: { status: 'on', details: {} }, message_id: `m-${n}` },
      });
      return (await service.event('ack'))['outcome'];
    };
    expect(await outcomeFor('globex')).toBe('unknown_task');
    host.now(() => ({ ...SERVICE, tenants: new Set(['acme']) }));
    await host.beat();
    expect(await outcomeFor('globex')).toBe('forbidden');
    expect(await outcomeFor('acme')).toBe('unknown_task');
    const { links } = host.running.orchestrator;
    const frame = { event: 'task_cancel', task_id: 'j', call_id: 'c', global_task_id: 't', reason: 'r' };
    const send = (tenant_id: string) =>
      links.send('query', { ...frame, tenant_id } as never, String(connection_id));
    expect([send('globex'), send('acme')]).toEqual([false, true]);
    expect(await service.event('task_cancel')).toMatchObject({ tenant_id: 'acme' });
  });
});
