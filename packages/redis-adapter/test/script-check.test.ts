import { isErrorCode } from '@agent-orchestrator/core/protocol';
import { describe, expect, it } from 'vitest';
// @ts-expect-error A program of the build, without types.
import { checkScript } from '../build/check.mjs';
import { SCRIPTS } from '../src/generated/scripts.js';

const check = checkScript;

describe('an assembled script', () => {
  it.each([
    ['does not end', 'if ARGV[1] then', /^broken\.lua: .*'end' expected/],
    [
      'uses an undefined name',
      'return { ARGV[1], undefinedName }',
      /^broken\.lua: "undefinedName" is not defined: return/,
    ],
    [
      'uses a name defined later',
      'local function a() return b() end\nlocal function b() end',
      /"b" is not defined/,
    ],
    ['sets a global', 'local function set()\n  count = 1\nend\nset()', /"count" is not defined: count = 1/],
    ['uses a global that Redis does not provide', 'return os.time()', /"os" is not defined/],
    [
      'calls a misspelt function in a branch',
      "if false then\n  redis.call('GET', keyz[1])\nend",
      /"keyz" is not defined/,
    ],
    [
      'has too many locals',
      Array.from({ length: 201 }, (_, at) => `local v${at} = ${at}`).join('\n'),
      /200 locals/,
    ],
    [
      'has too many locals inside a loop',
      `${'local v = 1\n'.repeat(195)}for key in pairs({}) do\n  local value = key\n  local other = value\nend`,
      /200 locals with its parts, got 201/,
    ],
    [
      'defines a function twice',
      'local function take() end\nlocal value = 1\nlocal function take(it)\n  return it\nend\ntake(value)',
      /^broken\.lua: "take" is defined twice: local function take\(\) end … local function take\(it\)/,
    ],
    [
      'defines a function twice in a block',
      'do\n  local function take() end\n  take()\n  local function take() end\n  take()\nend',
      /"take" is defined twice/,
    ],
    [
      'gives a function the name of a local',
      'local take = 1\nlocal function take() end\ntake()',
      /defined twice/,
    ],
    [
      'gives a local the name of a function',
      'local function take() end\nlocal take = take()',
      /defined twice/,
    ],
    [
      'defines two functions as one local',
      'local take = function() end\nlocal take = 1\ntake()',
      /defined twice/,
    ],
  ])('that %s is refused', (_, text, message) => {
    expect(() => check('broken', text)).toThrow(message);
  });

  it('may have more than 200 locals within functions and consecutive blocks', () => {
    const inside = (count: number) => '  local v = 1\n'.repeat(count);
    const text = `local function own()\n${inside(150)}end\n${inside(90)}do\n${inside(100)}end\ndo\n${inside(100)}end\nown()`;
    expect(() => check('fine', text)).not.toThrow();
  });

  it('may define functions of the same name in separate blocks, and redefine a local that is no function', () => {
    const own = 'do\n  local function take() end\n  take()\nend\n';
    const text = `${own}${own}local function take() end\nlocal key = take()\nlocal key = take(key)\nreturn key`;
    expect(() => check('fine', text)).not.toThrow();
  });

  it('may use the globals of Redis, and placeholders of numbers', () => {
    const text = "local limit = $limit\nreturn redis.call('LRANGE', KEYS[1], 0, tonumber(ARGV[1]) + limit)";
    expect(() => check('fine', text)).not.toThrow();
  });
});

describe('the scripts', () => {
  it('create errors only with codes of the error table', () => {
    const codes = new Set<string>();
    for (const text of Object.values(SCRIPTS))
      for (const [, json, fromCall] of text.matchAll(/"code":"(\w+)"|\bfailure\('(\w+)'/g))
        codes.add(json ?? fromCall ?? '');
    expect([...codes]).toContain('timeout');
    expect([...codes].filter((code) => !isErrorCode(code))).toEqual([]);
  });
});
