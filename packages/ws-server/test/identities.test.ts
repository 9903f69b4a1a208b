import { describe, expect, it } from 'vitest';
import { createIdentities, SCOPES } from '../src/index.js';

describe('createIdentities', () => {
  it('maps a token to its owner only', () => {
    const identities = createIdentities({
      apiKeys: [
        { key: 'key-of-acme', tenant: 'acme' },
        { key: 'key-of-globex', tenant: 'globex', scopes: [] },
      ],
      serviceTokens: [{ service: 'query', token: 'token-of-query', tenants: ['acme'] }],
      operatorToken: 'token-of-operator',
      operatorReadToken: 'token-of-reader',
    });
    expect(identities.authenticate('key-of-acme')).toEqual({
      kind: 'client',
      tenant: 'acme',
      scopes: new Set(SCOPES),
    });
    expect(identities.authenticate('key-of-globex')).toEqual({
      kind: 'client',
      tenant: 'globex',
      scopes: new Set(),
    });
    expect(identities.authenticate('token-of-query')).toEqual({
      kind: 'service',
      service: 'query',
      tenants: new Set(['acme']),
    });
    expect(identities.authenticate('token-of-operator')).toEqual({ kind: 'operator' });
    expect(identities.authenticate('token-of-reader')).toEqual({ kind: 'operator', readOnly: true });
    for (const stranger of ['', 'key-of-acm', 'key-of-acmee', 'KEY-OF-ACME', '__proto__']) {
      expect(identities.authenticate(stranger)).toBeUndefined();
    }
  });

  it('accepts two live tokens of a service and refuses a third', () => {
    const tokens = ['first-token', 'second-token'].map((token) => ({ service: 'query', token }));
    const identities = createIdentities({ serviceTokens: tokens });
    expect(identities.authenticate('first-token')).toEqual(identities.authenticate('second-token'));
    expect(() =>
      createIdentities({ serviceTokens: [...tokens, { service: 'query', token: 'third-token' }] }),
    ).toThrow('at most two live tokens');
  });

  it('refuses an ambiguous token, an empty one, and an invalid id', () => {
    expect(() =>
      createIdentities({
        apiKeys: [{ key: 'the-same', tenant: 'acme' }],
        serviceTokens: [{ service: 'query', token: 'the-same' }],
      }),
    ).toThrow('twice');
    expect(() => createIdentities({ apiKeys: [{ key: '', tenant: 'acme' }] })).toThrow('visible ASCII');
    expect(() => createIdentities({ apiKeys: [{ key: 'some-key', tenant: 'a:b' }] })).toThrow('tenant');
  });

  it('includes no token in an error', () => {
    const list = { apiKeys: [1, 2].map(() => ({ key: 'canary-0815', tenant: 'acme' })) };
    expect(() => createIdentities(list)).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining('canary') }),
    );
  });

  it('replaces the list', () => {
    const identities = createIdentities({ apiKeys: [{ key: 'old-key', tenant: 'acme' }] });
    identities.replace({ apiKeys: [{ key: 'new-key', tenant: 'acme' }] });
    expect(identities.authenticate('old-key')).toBeUndefined();
    expect(identities.authenticate('new-key')).toMatchObject({ tenant: 'acme' });
  });
});
