import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ConfigurationError } from '../src/errors/errors.js';
import { defineConfig } from '../src/index.js';
import { jsonFault } from '../src/settings/config-file.js';
import { readSettings, type SettingFlags } from '../src/settings/settings.js';
import { type Folder, folder } from './cli-process.js';

const KEY = 'a-secret-key';
let empty: Folder;

beforeAll(async () => {
  empty = await folder();
});
afterAll(() => empty[Symbol.asyncDispose]());

async function withFile(name: string, content: string, flags: SettingFlags = {}, env = {}) {
  await using place = await folder();
  await writeFile(join(place.path, name), content);
  return await readSettings(flags, env, place.path);
}

async function problem(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => new Error('it was accepted'),
    (thrown: unknown) => thrown as Error,
  );
  expect(error).toBeInstanceOf(ConfigurationError);
  return error.message;
}

describe('CLI settings', () => {
  it('have defaults', async () => {
    expect(await readSettings({}, {}, empty.path)).toMatchObject({
      host: '127.0.0.1',
      port: 8000,
      apiKeys: {},
      services: {},
    });
  });

  it('take a flag before the environment, and the environment before the file', async () => {
    const file = '{"port": 1, "host": "one", "url": "http://one"}';
    const env = { ORCHESTRATOR_PORT: '2', ORCHESTRATOR_HOST: 'two' };
    const settings = await withFile('orchestrator.config.json', file, { port: '3' }, env);
    expect(settings).toMatchObject({ port: 3, host: 'two', url: 'http://one' });
  });

  it('treat an empty variable as unset', async () => {
    expect(
      await readSettings({}, { ORCHESTRATOR_PORT: '', ORCHESTRATOR_API_KEYS: '' }, empty.path),
    ).toMatchObject({ port: 8000, apiKeys: {} });
  });

  it('accept "=" in API keys and service tokens', async () => {
    const env = {
      ORCHESTRATOR_API_KEYS: `${KEY}==acme, other-key=beta`,
      ORCHESTRATOR_SERVICE_TOKENS: 'query=token-1=,query=token-2=x,embedding=token-of-e',
    };
    const { apiKeys, serviceTokens } = await readSettings({}, env, empty.path);
    expect(apiKeys).toEqual({ [`${KEY}=`]: { tenant: 'acme' }, 'other-key': { tenant: 'beta' } });
    expect(serviceTokens).toEqual({ query: ['token-1=', 'token-2=x'], embedding: ['token-of-e'] });
  });

  it('take scopes and users of API keys', async () => {
    const env = { ORCHESTRATOR_API_KEYS: `${KEY}==acme:chat+tasks+chat, other-key=beta:plans` };
    expect((await readSettings({}, env, empty.path)).apiKeys).toEqual({
      [`${KEY}=`]: { tenant: 'acme', scopes: ['chat', 'tasks'] },
      'other-key': { tenant: 'beta', scopes: ['plans'] },
    });
    const file = JSON.stringify({
      apiKeys: {
        [KEY]: { tenant: 'acme', scopes: ['chat'], user_id: 'ann' },
        'other-key': { tenant: 'beta' },
        'third-key': 'beta',
      },
    });
    expect((await withFile('orchestrator.config.json', file)).apiKeys).toEqual({
      [KEY]: { tenant: 'acme', scopes: ['chat'], user_id: 'ann' },
      'other-key': { tenant: 'beta' },
      'third-key': { tenant: 'beta' },
    });
  });

  it.each<[object, RegExp]>([
    [{ tenant: 'acme', scopes: ['chat', 'task'] }, /expected some of chat, tasks, plans, manage, admin, got/],
    [{ tenant: 'acme', scopes: [] }, /expected array to have >=1 items/],
    [{ tenant: 'acme', scopes: 'chat' }, /expected array/],
    [{ tenant: 'a b' }, /expected 1 to 64 letters/],
    [{ scopes: ['chat'] }, /expected string/],
    [{ tenant: 'acme', user_id: '' }, /expected string to have >=1 characters/],
    [{ tenant: 'acme', user_id: 'a\nb' }, /expected no control characters/],
    [
      { tenant: 'acme', userid: 'ann' },
      /apiKeys: expected only tenant, scopes and user_id of a key, got another field/,
    ],
    [[], /expected a tenant, or an object of tenant, scopes and user_id/],
  ])('refuse the holder %j of a key in a file', async (holder, expected) => {
    const file = JSON.stringify({ apiKeys: { [KEY]: holder } });
    const said = await problem(withFile('orchestrator.config.json', file));
    expect(said).toMatch(expected);
    expect(said).not.toContain(KEY);
  });

  it.each(['acme:task', 'acme:', 'acme:chat,tasks', 'acme:chat+', ':chat', 'a b:chat'])(
    'refuse the holder %j of a key in the environment',
    async (holder) => {
      const env = { ORCHESTRATOR_API_KEYS: `first-key=acme,${KEY}=${holder}` };
      const said = await problem(readSettings({}, env, empty.path));
      expect(said).toMatch(/^ORCHESTRATOR_API_KEYS.*: expected /);
      expect(said).not.toContain(KEY);
    },
  );

  it('have rates, each of which a file replaces or takes away', async () => {
    const defaults = {
      tenant: { perMinute: 6_000, burst: 1_000 },
      failedLogins: { perMinute: 30, burst: 30 },
    };
    expect((await readSettings({}, {}, empty.path)).rates).toEqual(defaults);
    const file = '{"rates": {"tenant": false, "address": {"perMinute": 60}}, "trustedProxies": 1}';
    const { rates, trustedProxies } = await withFile('orchestrator.config.json', file);
    expect(rates).toEqual({ ...defaults, tenant: false, address: { perMinute: 60 } });
    expect(trustedProxies).toBe(1);
  });

  it.each([
    [
      '{"rates": {"tenant": {"perMinute": 0}}}',
      /rates.tenant.*: expected .*a whole number from 1 to 10000000/,
    ],
    ['{"rates": {"tenant": 60}}', /rates.tenant: expected \{ perMinute, burst\? \}, or false for no limit/],
    ['{"rates": {"tenants": false}}', /"rates.tenants" is no setting/],
    ['{"trustedProxies": -1}', /trustedProxies: expected a whole number from 0 on, got -1/],
  ])('refuse the rates %s', async (file, expected) => {
    expect(await problem(withFile('orchestrator.config.json', file))).toMatch(expected);
  });

  it('take single fields of the language model from the environment', async () => {
    const file = '{"llm": {"url": "http://model", "model": "small"}}';
    const env = { ORCHESTRATOR_LLM_MODEL: 'large', ORCHESTRATOR_LLM_KEY: 'k' };
    const { llm } = await withFile('orchestrator.config.json', file, {}, env);
    expect(llm).toEqual({ url: 'http://model', model: 'large', key: 'k' });
  });

  it('prefer an .mjs file, with services and workflows, to a .json file', async () => {
    const file = `export default { services: { query: { url: 'http://q', concurrency: 2 } }, workflows: { hello: () => 1 } };`;
    const settings = await withFile('orchestrator.config.mjs', file);
    expect(settings.services).toEqual({ query: { url: 'http://q', concurrency: 2 } });
    expect(settings.workflows['hello']).toBeTypeOf('function');
  });

  it('read a typed .ts file where Node strips types, and refuse it elsewhere', async () => {
    const file = `const port: number = 8123;\nexport default { port };`;
    const reading = withFile('orchestrator.config.ts', file);
    const { typescript = false } = process.features as { readonly typescript?: string | false };
    if (typescript === false) expect(await problem(reading)).toMatch(/expected Node 22\.18 or later/);
    else expect(await reading).toMatchObject({ port: 8123 });
  });

  it('take definitions of workflows under their own type', async () => {
    const module = "const refund = { type: 'refund', options: {}, run: () => 1 };";
    const { workflows } = await withFile(
      'orchestrator.config.mjs',
      `${module} export default { workflows: { refund } };`,
    );
    expect(workflows).toMatchObject({ refund: { type: 'refund' } });
    const other = withFile(
      'orchestrator.config.mjs',
      `${module} export default { workflows: { pay: refund } };`,
    );
    expect(await problem(other)).toMatch(
      /config\.mjs, workflows: expected each definition under its own type/,
    );
  });

  it('are typed by defineConfig, which returns them unchanged', () => {
    const config = defineConfig({
      redis: { nodes: ['h1:7001'] },
      workflows: { hello: async (ctx, input) => ({ id: ctx.taskId, said: input }) },
    });
    expect(config).toMatchObject({ redis: { nodes: ['h1:7001'] } });
    // @ts-expect-error a misspelt setting does not compile
    expect(defineConfig({ prot: 1 })).toEqual({ prot: 1 });
  });

  it('accept one or two tokens of a service from the file', async () => {
    const file = '{"serviceTokens": {"a": "token-of-a", "b": ["token-of-b", "next-of-b"]}}';
    const { serviceTokens } = await withFile('orchestrator.config.json', file);
    expect(serviceTokens).toEqual({ a: ['token-of-a'], b: ['token-of-b', 'next-of-b'] });
  });
});

const PORT = /expected a port, 0 to 65535, got/;
const URL_FORM = /expected an http or https URL/;

describe('invalid CLI settings are refused', () => {
  it.each<[string, SettingFlags, Record<string, string>, RegExp[]]>([
    ['a port that is none', { port: 'abc' }, {}, [/^--port: /, PORT, /"abc"/]],
    ['an empty port', { port: '' }, {}, [/^--port: /, PORT]],
    ['a port with a sign', { port: '-1' }, {}, [/^--port: /, PORT]],
    ['half a port', { port: '1.5' }, {}, [/^--port: /, PORT]],
    ['too high a port', { port: '65536' }, {}, [/^--port: /, PORT]],
    ['a blank port', {}, { ORCHESTRATOR_PORT: ' ' }, [/^ORCHESTRATOR_PORT: /, PORT]],
    ['a hexadecimal port', {}, { ORCHESTRATOR_PORT: '0x10' }, [/^ORCHESTRATOR_PORT: /, PORT]],
    [
      'a host with a space',
      { host: 'a b' },
      {},
      [/^--host: expected a host name or an IP address, got "a b"/],
    ],
    ['a URL that is none', { url: 'nope' }, {}, [/^--url: /, URL_FORM, /got "nope"/]],
    ['another protocol', {}, { ORCHESTRATOR_URL: 'ftp://x' }, [/^ORCHESTRATOR_URL: /, URL_FORM]],
    ['a password in a URL', { url: `http://me:${KEY}@x` }, {}, [/^--url: /, URL_FORM, /got something else/]],
    [
      'a key that is too short',
      {},
      { ORCHESTRATOR_API_KEY: 'short' },
      [/^ORCHESTRATOR_API_KEY: expected 8 to 1024/],
    ],
    [
      'no pair',
      {},
      { ORCHESTRATOR_API_KEYS: KEY },
      [/^ORCHESTRATOR_API_KEYS: expected <key>=<tenant>/, /position 1/],
    ],
    ['half a pair', {}, { ORCHESTRATOR_API_KEYS: `${KEY}=acme,x=` }, [/<key>=<tenant>/, /position 2/]],
    [
      'a bad tenant',
      {},
      { ORCHESTRATOR_API_KEYS: `${KEY}=a b` },
      [/^ORCHESTRATOR_API_KEYS: expected 1 to 64 letters/],
    ],
    [
      'a short key',
      {},
      { ORCHESTRATOR_API_KEYS: 'abc=acme' },
      [/^ORCHESTRATOR_API_KEYS: expected 8 to 1024/],
    ],
    [
      'a key twice',
      {},
      { ORCHESTRATOR_API_KEYS: `${KEY}=a,${KEY}=b` },
      [/expected each key once, got the one at position 2 twice/],
    ],
    [
      'no token',
      {},
      { ORCHESTRATOR_SERVICE_TOKENS: 'query' },
      [/^ORCHESTRATOR_SERVICE_TOKENS: expected <service>=<token>/],
    ],
    [
      'a third token',
      {},
      { ORCHESTRATOR_SERVICE_TOKENS: 'q=token-1x,q=token-2x,q=token-3x' },
      [/two such tokens at most/],
    ],
    [
      'a model without a URL',
      {},
      { ORCHESTRATOR_LLM_MODEL: 'm' },
      [/^ORCHESTRATOR_LLM_URL: /, URL_FORM, /got nothing/],
    ],
    [
      'a config file that is not there',
      { config: 'nope.json' },
      {},
      [/^--config: expected a file, got "nope.json"/],
    ],
    ['a config file without a name', { config: '' }, {}, [/^--config: expected a file, got ""/]],
  ])('%s', async (_, flags, env, patterns) => {
    const message = await problem(readSettings(flags, env, empty.path));
    for (const pattern of patterns) expect(message).toMatch(pattern);
    expect(message).not.toContain(KEY);
  });

  it.each<[string, string, RegExp]>([
    ['an unknown key', '{"prot": 1}', /orchestrator\.config\.json: "prot" is no setting/],
    [
      'an unknown key of a service',
      '{"services": {"q": {"url": "http://q", "tiemout": 1}}}',
      /"services\.q\.tiemout" is no setting/,
    ],
    ['null as port', '{"port": null}', PORT],
    ['true as port', '{"port": true}', PORT],
    [
      'a service without URL',
      '{"services": {"q": {}}}',
      /services\.q\.url: expected an http or https URL.*got nothing/,
    ],
    [
      'no time at all',
      '{"services": {"q": {"url": "http://q", "timeoutMs": 0}}}',
      /services\.q\.timeoutMs: expected a whole number from 1 on, got 0/,
    ],
    [
      'a bad token of a service',
      `{"services": {"q": {"url": "http://q", "token": "${KEY} "}}}`,
      /services\.q\.token: expected 8 to 1024/,
    ],
    ['a key as tenant', `{"apiKeys": {"acme": "${KEY}!"}}`, /apiKeys: expected/],
    ['keys as list', `{"apiKeys": ["${KEY}"]}`, /apiKeys: expected an object of keys and whose they are/],
    [
      'a workflow in JSON',
      '{"workflows": {"a": "b"}}',
      /workflows\.a: expected a function, or what defineWorkflow returns, got "b"/,
    ],
    ['a list', '[]', /expected an object of settings, got something else/],
    ['an empty file', '', /expected JSON, got an end in the middle/],
    ['half a file', `{"apiKey": "${KEY}"`, /expected JSON, got/],
    ['a syntax error beside a secret', `{\n  "apiKey": "${KEY}" oops }`, /expected JSON, got a mistake/],
    ['a key that reaches into prototypes', '{"__proto__": {}}', /keys or a depth that are not allowed/],
  ])('%s in the file', async (_, content, pattern) => {
    const message = await problem(withFile('orchestrator.config.json', content));
    expect(message).toMatch(pattern);
    expect(message).not.toContain(KEY);
  });

  it.each<[string, string, RegExp]>([
    ['an exception', '\nthrow new Error("boom");', /orchestrator\.config\.mjs:?.*: boom$/],
    [
      'no default export',
      'export const a = 1;',
      /expected an object of settings as default export, got nothing/,
    ],
    [
      'a package that is not there',
      'import "no-such-package-here"; export default {};',
      /no-such-package-here/,
    ],
  ])('%s in an .mjs file', async (_, content, pattern) => {
    expect(await problem(withFile('orchestrator.config.mjs', content))).toMatch(pattern);
  });

  it('all at once', async () => {
    const message = await problem(
      withFile('orchestrator.config.json', '{"prot": 1, "port": -1, "host": ""}'),
    );
    expect(message.split('\n')).toHaveLength(3);
  });

  it('with the line of a syntax error, if the parser reports it', () => {
    expect(jsonFault('{\n "a": x', 'expected JSON, got Unexpected token at position 8')).toBe(
      'a mistake at line 2, column 7',
    );
  });
});
