import { describe, expect, it } from 'vitest';
// @ts-expect-error A program of the build, without types.
import { composeScripts } from '../build/compose.mjs';
// @ts-expect-error The same.
import { luaFiles } from '../build/lua-files.mjs';
// @ts-expect-error The same.
import { refuseUnknownNumbers } from '../build/check.mjs';

interface Composed {
  readonly name: string;
  readonly flags: string;
  readonly statements: readonly string[];
}

const FILES = luaFiles() as ReadonlyMap<string, string>;

function compose(files: Readonly<Record<string, string>>): readonly Composed[] {
  return composeScripts(new Map(Object.entries(files)));
}

/** The text of a script. */
function textOf(files: Readonly<Record<string, string>>, name = 'main'): string {
  return compose(files)
    .find((script) => script.name === name)!
    .statements.join('');
}

/** The scripts of the adapter with a mistake in one of their files. */
function seed(file: string, from: string, to: string): () => unknown {
  const text = FILES.get(file) ?? '';
  expect(text).toContain(from);
  return () => composeScripts(new Map([...FILES, [file, text.replace(from, to)]]));
}

describe('the build of the scripts refuses', () => {
  it.each([
    [
      'a misspelt function',
      seed('queue/settle.lua', 'unlease(task)', 'unlaese(task)'),
      'queue/settle.lua: "unlaese" is not defined: unlaese(task)',
    ],
    [
      'a part that is used and not included',
      seed('tasks/cancel.lua', ' tasks/task_end', ''),
      'tasks/cancel.lua: "cancelTask" is used without its part: expected -- @include tasks/task_end: local answer = cancelTask(task, params.reason, params.grace)',
    ],
    [
      'a part of a part that is used and not included',
      seed('tasks/lib/task_end.lua', ' queue/ready', ''),
      /^tasks\/lib\/task_end\.lua: "dequeue" is used without its part: expected -- @include queue\/ready|"wakeWorker"/,
    ],
    [
      'a global',
      seed('tasks/lib/task_end.lua', '  budget = budget - cost', '  spent = budget - cost'),
      'tasks/lib/task_end.lua: "spent" is not defined: spent = budget - cost',
    ],
    [
      'a field that its record does not have',
      seed('sessions/update_session.lua', 'session.rev)', 'session.revision)'),
      'sessions/update_session.lua: "session" has no field "revision": expected status, rev: if tonumber(session.revision) ~= params.rev then',
    ],
    [
      'a field that a record from another file does not have',
      seed('fast/submit_fast.lua', 'counters.last_deadline', 'counters.deadline'),
      /^fast\/submit_fast\.lua: "counters" has no field "deadline": expected seq, pending, last_deadline, .*: if isFull/,
    ],
    [
      'a cycle of includes',
      seed('journal/lib/steps.lua', '-- @include', '-- @include tasks/task_end'),
      /^\S+: includes in a cycle: .*journal\/steps -> .*tasks\/task_end/,
    ],
    [
      'an unknown part',
      seed('tasks/cancel.lua', '-- @include', '-- @include tasks/taks'),
      'tasks/cancel.lua: there is no part "tasks/taks": expected a file in a folder lib',
    ],
    [
      'an include that nothing is used of',
      seed('tasks/get.lua', '-- @reads', '-- @reads\n-- @include tasks/state'),
      'tasks/get.lua: "tasks/state" is included, and nothing of it is used',
    ],
    [
      'a function that no script uses',
      seed(
        'tasks/lib/state.lua',
        'local function stateOf',
        'local function idle() end\nlocal function stateOf',
      ),
      'tasks/lib/state.lua: no script uses "idle"',
    ],
    [
      'a name that two parts of a script define',
      seed('tasks/cancel.lua', 'local params', 'local budget = 1\nlocal params'),
      'tasks/cancel.lua: "budget" is defined by tasks/lib/task_end.lua and by tasks/cancel.lua',
    ],
    [
      'a line that is not Lua',
      seed('tasks/wrong.lua', '', 'local function'),
      /^tasks\/wrong\.lua: .* expected near '<eof>'/,
    ],
  ])('%s', (_, build, message) => {
    expect(build).toThrow(message);
  });

  it.each([
    [
      'an index instead of a name',
      "local counters = hmget(KEYS[1], 'seq')\nreturn counters[1]",
      /"counters" is used without the name of a field, or passed under another name: return counters\[1\]/,
    ],
    [
      'a record that loses its name',
      "local function first(it) return it.seq end\n-- @record\nlocal counters = hmget(KEYS[1], 'seq')\nreturn first(counters)",
      /"counters" is used without the name of a field, or passed under another name: return first\(counters\)/,
    ],
    [
      'fields that are read by position',
      "local seq = unpack(redis.call('HMGET', KEYS[1], 'seq', 'epoch'))\nreturn seq",
      /^a\/main\.lua: fields are read by name: expected hmget\(key, …\): local seq = unpack/,
    ],
    [
      'a field that is read twice',
      "local counters = hmget(KEYS[1], 'seq', 'seq')\nreturn counters.seq",
      /hmget: field "seq" is named twice/,
    ],
    [
      'fields that are not strings',
      'local counters = hmget(KEYS[1], ARGV[1])\nreturn counters.seq',
      /hmget: expected a key and the names of fields as strings/,
    ],
    [
      'a record without a local',
      "return hmget(KEYS[1], 'seq').seq",
      /hmget: expected a local of its own for the record/,
    ],
  ])('%s', (_, text, message) => {
    expect(() => compose({ 'a/main.lua': text })).toThrow(message);
  });

  it('a part that uses a record by name without its declaration', () => {
    const files = {
      'a/lib/counters.lua':
        "local function read(key)\n  -- @record\n  local counters = hmget(key, 'seq')\n  return counters\nend",
      'a/lib/next.lua': 'local function nextOf(counters)\n  return counters.seq + 1\nend',
      'a/main.lua': '-- @include a/counters a/next\nreturn nextOf(read(KEYS[1]))',
    };
    expect(() => compose(files)).toThrow(
      'a/lib/next.lua: "counters" is a record of a/lib/counters.lua: expected -- @include a/counters',
    );
  });

  it('a number that no setting has', () => {
    const check = (text: string) => () => refuseUnknownNumbers('a/main', text, ['pageBytes', 'database']);
    expect(check('local at = $pageBytez\nreturn at')).toThrow(
      'a/main.lua: there is no setting "pageBytez": local at = $pageBytez',
    );
    expect(check("return message:gsub('%$at', $pageBytes .. '@$database')")).not.toThrow();
  });

  it('two scripts with the same name', () => {
    expect(() => compose({ 'a/main.lua': 'return 1', 'b/main.lua': 'return 2' })).toThrow(
      'two scripts have the name "main": a/main.lua and b/main.lua',
    );
  });
});

describe('a composed script', () => {
  it('reads fields by index', () => {
    const text = textOf({
      'a/lib/counters.lua':
        "local function read(key)\n  -- @record\n  local counters = hmget(key, 'seq', 'epoch')\n  return counters\nend",
      'a/main.lua':
        "-- @include a/counters\nlocal new = { counters = read(KEYS[1]) }\nlocal own = hmget(KEYS[2], 'weight')\nreturn { new.counters.epoch, own.weight }",
    });
    expect(text).toContain("local counters = redis.call('HMGET', key, 'seq', 'epoch')");
    expect(text).toContain(
      "local own = redis.call('HMGET', KEYS[2], 'weight')\nreturn { new.counters[2], own[1] }",
    );
  });

  it('has the parts of its parts before them, each once', () => {
    const text = textOf({
      'a/lib/first.lua': 'local first = redis.call(KEYS[1])',
      'a/lib/second.lua': '-- @include a/first\nlocal second = first + 1',
      'b/lib/third.lua': '-- @include a/second a/first\nlocal third = first + second',
      'b/main.lua': '-- @include b/third a/first\nreturn first + third',
    });
    expect(text).toBe(
      'local first = redis.call(KEYS[1])\nlocal second = first + 1\nlocal third = first + second\nreturn first + third\n',
    );
  });

  it('has nothing of its parts that it does not use, but what they do', () => {
    const text = textOf({
      'a/lib/table.lua':
        'local tables = {}\nfunction tables.a()\n  return 1\nend\nlocal LIMIT = 2 * 1000\nlocal LEFT = LIMIT',
      'a/lib/time.lua': "local now = tonumber(ARGV[1])\nif not now then\n  now = redis.call('TIME')[1]\nend",
      'a/main.lua': '-- @include a/table a/time\nreturn LIMIT',
      'a/other.lua': '-- @include a/table\ntables.a()\nreturn LEFT',
    });
    expect(text).toBe(
      "local LIMIT = 2 * 1000\nlocal now = tonumber(ARGV[1])\nif not now then\nnow = redis.call('TIME')[1]\nend\nreturn LIMIT\n",
    );
  });

  it('of the adapter has less than 200 locals, and runs with the flags of its header', () => {
    const scripts = composeScripts(FILES) as readonly Composed[];
    expect(scripts.length).toBeGreaterThan(50);
    const flagsOf = (name: string) => scripts.find((script) => script.name === name)?.flags;
    expect([flagsOf('get'), flagsOf('submit'), flagsOf('settle')]).toEqual(['no-writes', '', 'allow-oom']);
  });
});
