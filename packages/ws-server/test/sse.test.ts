import { ManualClock } from '@agent-orchestrator/core/testing';
import { describe, expect, it } from 'vitest';
import { startServer } from './running-server.js';
import { SseReader } from './sse-reader.js';

describe('GET /v1/tasks/{id}/events', () => {
  it('begins with the snapshot, continues with events, and ends with the final one', async () => {
    const running = await startServer();
    const id = await running.submit('approval');
    const response = await running.fetch('GET', `/v1/tasks/${id}/events`);
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    const reader = new SseReader(response);
    expect(await reader.next()).toMatchObject({
      event: 'snapshot',
      data: { snapshot: { task: { task_id: id } } },
    });
    await running.orchestrator.tenant('acme').tasks.signal(id, 'approve', 'yes');
    const events = await reader.rest();
    expect(events.at(-1)).toMatchObject({ event: 'task_completed', data: { data: 'yes', task_id: id } });
  });

  it('resumes after each event with Last-Event-ID, without gaps and repeats', async () => {
    const running = await startServer();
    const follower = running.orchestrator.tenant('acme').events;
    const { cursor } = await follower.snapshot({ tenant: true });
    const id = await running.submit('steps', { steps: 5 });
    await running.ended(id);
    const path = `/v1/tasks/${id}/events`;
    const all = await new SseReader(
      await running.fetch('GET', path, { headers: { 'last-event-id': cursor } }),
    ).rest();
    const revs = all.map((event) => event.data['rev']);
    expect(revs).toEqual(revs.map((_, index) => index + 1));
    expect(all.at(-1)).toMatchObject({ event: 'task_completed' });
    for (const [index, event] of all.slice(0, -1).entries()) {
      const response = await running.fetch('GET', path, { headers: { 'last-event-id': event.id } });
      expect(await new SseReader(response).rest()).toEqual(all.slice(index + 1));
    }
    const past = await running.fetch('GET', path, { headers: { 'last-event-id': all.at(-1)?.id ?? '' } });
    expect([past.status, await past.text()]).toEqual([204, '']);
  });

  it('sends the snapshot for a cursor of another epoch', async () => {
    const running = await startServer();
    const id = await running.submit('echo', 'done');
    await running.ended(id);
    const response = await running.fetch('GET', `/v1/tasks/${id}/events`, {
      headers: { 'last-event-id': 'elsewhere:7' },
    });
    expect(await new SseReader(response).rest()).toMatchObject([
      { event: 'snapshot', data: { snapshot: { task: { status: 'completed' } } } },
    ]);
  });

  it('refuses an invalid cursor', async () => {
    const running = await startServer();
    const id = await running.submit('echo');
    const { status, body } = await running.ask('GET', `/v1/tasks/${id}/events`, {
      headers: { 'last-event-id': 'nonsense' },
    });
    expect([status, body['code']]).toEqual([400, 'invalid_request']);
  });

  it('sends a heartbeat after each interval without an event', async () => {
    const clock = new ManualClock();
    const running = await startServer({ clock });
    const id = await running.submit('approval');
    const reader = new SseReader(await running.fetch('GET', `/v1/tasks/${id}/events`));
    await reader.next();
    const next = reader.next();
    // The snapshot is in the first interval.
    await clock.advance(15_000);
    for (let beats = 1; beats <= 2; beats += 1) {
      await clock.advance(15_000);
      await expect.poll(() => reader.comments.length, { timeout: 30_000 }).toBe(beats);
    }
    await running.orchestrator.tenant('acme').tasks.signal(id, 'approve', 'yes');
    expect(await next).toBeDefined();
  });
});

describe('GET /v1/sessions/{id}/events', () => {
  it('sends events of the session and its tasks, and of no other', async () => {
    const running = await startServer();
    await running.ask('POST', '/v1/sessions', { body: { session_id: 's-1' } });
    const reader = new SseReader(await running.fetch('GET', '/v1/sessions/s-1/events'));
    expect(await reader.next()).toMatchObject({
      event: 'snapshot',
      data: { snapshot: { session: { session_id: 's-1' } } },
    });
    await running.ended(await running.submit('echo', 'elsewhere'));
    const id = await running.submit('echo', 'here', { session_id: 's-1' });
    const seen: unknown[] = [];
    for (let event = await reader.next(); event; event = await reader.next()) {
      expect(event.data['session_id']).toBe('s-1');
      seen.push(event.event);
      if (event.event === 'task_completed') {
        expect(event.data['task_id']).toBe(id);
        break;
      }
    }
    expect(seen).toContain('task_created');
  });
});
