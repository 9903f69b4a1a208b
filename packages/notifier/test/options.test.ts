import { afterEach, describe, expect, it, vi } from 'vitest';
import { HttpTransport, TaskNotifier, WebSocketTransport } from '../src/index.js';
import { readHub } from '../src/transport-options.js';
import { next, overSocket } from './service.js';
import { ScriptedHub } from './scripted-hub.js';

afterEach(() => vi.unstubAllEnvs());

const good = { url: 'ws://127.0.0.1:1', token: 'token-of-query' };

describe('the options', () => {
  it.each([
    [{}, 'url', 'an address like "wss://host" (or ORCHESTRATOR_URL)', 'nothing'],
    [{ ...good, url: 'localhost' }, 'url', 'an address like', 'something else'],
    [{ ...good, url: 'ftp://host' }, 'url', 'an address like', 'something else'],
    [{ url: good.url }, 'token', '(or SERVICE_TOKEN)', 'nothing'],
    [{ ...good, token: '' }, 'token', '(or SERVICE_TOKEN)', 'nothing'],
    [{ ...good, token: 'a b' }, 'token', '1 to 1024 visible ASCII characters', 'something else'],
    [{ ...good, pingMs: 0 }, 'pingMs', '>=1', '0'],
    [{ ...good, reconnectCapMs: 2 ** 40 }, 'reconnectCapMs', '<=2147483647', ''],
    [{ ...good, ackMs: 1.5 }, 'ackMs', 'int', '1.5'],
  ])('are validated: %j', (options, path, expected, got) => {
    vi.stubEnv('ORCHESTRATOR_URL', undefined);
    vi.stubEnv('SERVICE_TOKEN', undefined);
    const make = () => new WebSocketTransport(options);
    expect(make).toThrow(expect.objectContaining({ code: 'invalid_request' }));
    expect(make).toThrow(path);
    expect(make).toThrow(expected);
    expect(make).toThrow(`got ${got}`);
  });

  it.each([
    { token: 'canary token' },
    { token: 'canary-token\n' },
    { url: 'ws://127.0.0.1:1/?token=canary' },
    { url: 'ws://canary@127.0.0.1:1/' },
    { url: 'ftp://canary@127.0.0.1:1/' },
  ])('never have a secret in an error: %j', (wrong) => {
    const thrown = (() => {
      try {
        return new WebSocketTransport({ ...good, ...wrong });
      } catch (error) {
        return error;
      }
    })();
    expect(thrown).toMatchObject({ code: 'invalid_request' });
    expect(String(thrown)).not.toContain('canary');
  });

  it('default to the environment', async () => {
    const hub = await ScriptedHub.start();
    vi.stubEnv('ORCHESTRATOR_URL', hub.url);
    vi.stubEnv('SERVICE_TOKEN', 'token-of-the-environment');
    const query = overSocket('', { url: undefined, token: undefined });
    await query.ready();
    expect(hub.visits[0]?.frames[0]).toMatchObject({ service_token: 'token-of-the-environment' });
    expect(() => new HttpTransport()).not.toThrow();
  });

  it.each([
    ['serviceName', { serviceName: 'a:b' }],
    ['window', { window: 0 }],
    ['maxMessages', { maxMessages: -1 }],
    ['maxBytes', { maxBytes: Number.NaN }],
  ])('of the notifier are validated: %s', (path, wrong) => {
    const transport = new WebSocketTransport(good);
    expect(() => new TaskNotifier({ serviceName: 'query', transport, ...wrong })).toThrow(`at "${path}"`);
  });

  it('require a transport for each notifier', async () => {
    const transport = new WebSocketTransport(good);
    const query = new TaskNotifier({ serviceName: 'query', transport });
    await next(query, 'disconnected');
    expect(() => new TaskNotifier({ serviceName: 'query', transport })).toThrow('expected one of its own');
    await query.close();
  });
});

describe('the address', () => {
  const path = '/ws/task_updates';
  const token = 't';
  const at = (url: string) => readHub({ url, token }, { scheme: 'ws', path }).url;

  it.each([
    ['http://127.0.0.1:8000', 'ws://127.0.0.1:8000/ws/task_updates'],
    ['ws://localhost:8000/', 'ws://localhost:8000/ws/task_updates'],
    ['wss://hub.example/ws/task_updates', 'wss://hub.example/ws/task_updates'],
    ['https://hub.example/under/', 'wss://hub.example/under/ws/task_updates'],
    ['https://hub.example/under/ws/task_updates/', 'wss://hub.example/under/ws/task_updates'],
    ['ws://[::1]:8000', 'ws://[::1]:8000/ws/task_updates'],
  ])('%s is %s', (url, address) => {
    expect(at(url)).toBe(address);
  });

  it('has no credentials', () => {
    for (const url of ['ws://a:b@127.0.0.1', 'ws://127.0.0.1/?token=x', 'ws://127.0.0.1/#x']) {
      expect(() => at(url)).toThrow('the token belongs into "token"');
    }
  });

  it('without TLS is for this machine; elsewhere it leads to a warning, or is refused', async () => {
    const warned = new Promise<Error>((resolve) => process.once('warning', resolve));
    expect(at('ws://hub.example')).toBe('ws://hub.example/ws/task_updates');
    expect((await warned).message).toContain('hub.example is sent without TLS');
    const required = (url: string) => readHub({ url, token, requireTls: true }, { scheme: 'http', path }).url;
    expect(() => required('http://hub.example')).toThrow('expected TLS');
    expect(required('http://127.0.0.1')).toBe('http://127.0.0.1/ws/task_updates');
    expect(required('https://hub.example')).toBe('https://hub.example/ws/task_updates');
  });
});
