import { describe, expect, it } from 'vitest';
import type { Finding } from '../src/services/check.js';
import { CheckHub } from '../src/services/check-hub.js';
import { runChecks } from '../src/services/run-checks.js';
import { Subject } from '../src/services/subject.js';
import { findings, LIMITS, named, TOKEN } from './service-findings.js';

describe('services check', () => {
  it.concurrent('reports no violation for a service that notifies over WebSocket', async () => {
    const found = await findings({}, { name: 'flawed' });
    expect([...found].filter(([, { verdict }]) => verdict !== 'ok')).toEqual([]);
  });

  it.concurrent('reports no violation for a service that responds at once', async () => {
    const found = await findings({ reconnectMs: 50 }, { operation: 'quick' });
    expect(named(found, 'failed')).toEqual([]);
    expect(found.get('outcome')?.verdict).toBe('skipped');
    expect(found.get('whole-task')?.verdict).toBe('ok');
  });

  it.concurrent('reports no violation for a service that notifies over HTTP', async () => {
    const found = await findings({ reportsOver: 'http' });
    expect(named(found, 'failed')).toEqual([]);
    expect(named(found, 'skipped')).toEqual(['cancel', 'pong', 'comes-back']);
    expect(found.get('connects')).toEqual({ verdict: 'ok', note: 'over HTTP' });
  });

  it.concurrent('warns of notifications without a message_id, without requesting them again', async () => {
    const found = await findings({ send: (frame) => [{ ...frame, message_id: undefined }] });
    expect(named(found, 'failed')).toEqual([]);
    expect(named(found, 'warning')).toEqual(['message-ids']);
    expect(found.get('sends-again')?.verdict).toBe('skipped');
  });

  it.concurrent('warns of work continued after a cancel', async () => {
    const found = await findings({ onCancel: 'goes_on' });
    expect(named(found, 'failed')).toEqual([]);
    expect(named(found, 'warning')).toEqual(['cancel']);
  });

  it.concurrent('prints no findings for an unreachable service', async () => {
    const hub = await CheckHub.start({
      port: 0,
      host: '127.0.0.1',
      token: TOKEN,
      operation: 'work',
      input: {},
    });
    const { signal } = new AbortController();
    const options = {
      url: 'http://127.0.0.1:1',
      operation: 'work',
      input: {},
      token: TOKEN,
      limits: LIMITS,
      signal,
    };
    const found: Finding['verdict'][] = [];
    for await (const { finding } of runChecks(new Subject(options, hub))) found.push(finding.verdict);
    await hub.stop();
    expect([found[0], ...new Set(found.slice(1))]).toEqual(['failed', 'skipped']);
  });
});
