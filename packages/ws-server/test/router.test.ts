import { describe, expect, it } from 'vitest';
import { Router } from '../src/http/router.js';
import { ROUTES } from '../src/index.js';

const router = new Router(ROUTES);
const TASK = '0b5c9d3e-1111-4222-8333-944455556666';

describe('Router', () => {
  it('finds every route of the table by its own path', () => {
    for (const route of ROUTES) {
      const path = route.path.replace(/\{(\w+)\}/g, (_, name: string) =>
        name.endsWith('k_id') || name === 'batch_id' ? TASK : 'some',
      );
      expect(router.match(route.method, path)).toMatchObject({ found: 'route', route: { path: route.path } });
    }
  });

  it('knows a path without the method, and lists its methods', () => {
    expect(router.match('DELETE', '/v1/tasks')).toEqual({ found: 'path', allow: 'POST, GET, HEAD' });
    expect(router.match('GET', '/v1/nothing')).toEqual({ found: 'nothing' });
    expect(router.match('GET', '/v1/tasks/')).toEqual({ found: 'nothing' });
    expect(router.match('GET', `/v1/tasks/${TASK}/`)).toEqual({ found: 'nothing' });
  });

  it.each([
    '..%2F..',
    '%00',
    'a:b',
    '{acme}',
    '*',
    '%0d%0aX',
    '__proto__',
    'x'.repeat(10_000),
    '%ED%A0%80',
    '%',
  ])('refuses the id %j', (id) => {
    for (const path of [`/v1/tasks/${id}`, `/v1/sessions/${id}`, `/v1/batch/${id}`]) {
      expect(() => router.match('GET', path)).toThrow(expect.objectContaining({ code: 'invalid_request' }));
    }
  });
});
