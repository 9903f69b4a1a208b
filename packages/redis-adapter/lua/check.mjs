// Checks the scripts as they are sent: Redis would find a mistake only when its line first runs.
import luaparse from 'luaparse';

/** The globals of Redis that the scripts use. */
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

/** Limit of Lua 5.1 for a function; a chunk is one. */
const MAX_LOCALS = 200;

/**
 * @param {string} name of the script
 * @param {string} text assembled, without its first line; `$name` stands for a number.
 * @throws {Error} that names the script, the mistake and the line.
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
  const locals = maxLocals(chunk.body);
  if (locals > MAX_LOCALS) {
    throw new Error(`${name}.lua: expected at most ${MAX_LOCALS} locals with its parts, got ${locals}`);
  }
}

/**
 * A function with the name of another local of its block replaces it for the code below: two parts written
 * separately do so without noticing.
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

/** Maximum number of locals that exist at once, with those of enclosing blocks, but not of functions. */
function maxLocals(body) {
  let own = 0;
  let max = 0;
  for (const { type, variables = [], isLocal, clauses, body: inner } of body) {
    if (type === 'LocalStatement') own += variables.length;
    else if (type === 'FunctionDeclaration') own += isLocal ? 1 : 0;
    else {
      const ofLoop =
        type === 'ForGenericStatement' ? 3 + variables.length : type === 'ForNumericStatement' ? 4 : 0;
      const blocks = clauses ? clauses.map((clause) => clause.body) : inner ? [inner] : [];
      for (const block of blocks) max = Math.max(max, own + ofLoop + maxLocals(block));
    }
    max = Math.max(max, own);
  }
  return max;
}

function lineOf(text, line) {
  return (text.split('\n')[line - 1] ?? '').trim();
}
