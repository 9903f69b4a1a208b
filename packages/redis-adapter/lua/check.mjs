// Checks the scripts as they are sent: Redis would find a mistake only when the line with it is first run.
import luaparse from 'luaparse';

/** What Redis gives to a script, as far as the scripts use it. */
const GLOBALS = new Set([
  ...['redis', 'KEYS', 'ARGV', 'cjson', 'math', 'string', 'table'],
  ...[
    'error',
    'ipairs',
    'pairs',
    'pcall',
    'rawget',
    'rawset',
    'setmetatable',
    'tonumber',
    'tostring',
    'type',
    'unpack',
  ],
]);

/** Lua 5.1 has no more locals in a function, and a chunk is one. */
const MAX_LOCALS = 200;

/**
 * @param {string} name of the script
 * @param {string} text put together, without its first line; `$name` stands for a number.
 * @throws {Error} that names the script, what is wrong, and the line.
 */
export function checkScript(name, text) {
  let chunk;
  try {
    chunk = luaparse.parse(text.replaceAll(/\$\w+/g, '0'), {
      luaVersion: '5.1',
      scope: true,
      locations: true,
    });
  } catch (error) {
    throw new Error(`${name}.lua: ${error.message}: ${lineOf(text, error.line)}`, { cause: error });
  }
  for (const { name: found, loc } of chunk.globals) {
    if (GLOBALS.has(found)) continue;
    throw new Error(`${name}.lua: "${found}" is not defined: ${lineOf(text, loc.start.line)}`);
  }
  refuseRedefined(name, text, chunk.body);
  const locals = mostLocals(chunk.body);
  if (locals > MAX_LOCALS) {
    throw new Error(`${name}.lua: expected at most ${MAX_LOCALS} locals with its parts, got ${locals}`);
  }
}

/**
 * A function that has the name of another local of its block takes that one's sequence for the code below it: two parts that were
 * written apart do so without knowing.
 * @throws {Error} that names both lines.
 */
function refuseRedefined(script, text, body) {
  const known = new Map();
  for (const statement of body) {
    const { type, isLocal, identifier, variables = [], clauses, init = [] } = statement;
    const isFunction = type === 'FunctionDeclaration';
    const named = isFunction ? (isLocal ? [identifier] : []) : type === 'LocalStatement' ? variables : [];
    for (const [at, { name, loc }] of named.entries()) {
      const before = known.get(name);
      const takesCalls = isFunction || init[at]?.type === 'FunctionDeclaration';
      const line = lineOf(text, loc.start.line);
      if (before && (takesCalls || before.takesCalls))
        throw new Error(`${script}.lua: "${name}" is defined twice: ${before.line} … ${line}`);
      known.set(name, { takesCalls, line });
    }
    for (const inner of clauses ?? [statement]) if (inner.body) refuseRedefined(script, text, inner.body);
  }
}

/** How many locals are there at once, at the most: with those of the blocks holders, but not of functions. */
function mostLocals(body) {
  let own = 0;
  let most = 0;
  for (const { type, variables = [], isLocal, clauses, body: inner } of body) {
    if (type === 'LocalStatement') own += variables.length;
    else if (type === 'FunctionDeclaration') own += isLocal ? 1 : 0;
    else {
      // A loop has three locals of its own.
      const ofLoop =
        type === 'ForGenericStatement' ? 3 + variables.length : type === 'ForNumericStatement' ? 4 : 0;
      const blocks = clauses ? clauses.map((clause) => clause.body) : inner ? [inner] : [];
      for (const block of blocks) most = Math.max(most, own + ofLoop + mostLocals(block));
    }
    most = Math.max(most, own);
  }
  return most;
}

function lineOf(text, line) {
  return (text.split('\n')[line - 1] ?? '').trim();
}
