// Checks the scripts as they are sent: Redis would find a mistake only when its line first runs.
import { BUILT_IN } from './includes.mjs';
import { lineOf, parseLua } from './lua-source.mjs';
import { walk } from './scopes.mjs';

/** Limit of Lua 5.1 for a function; a chunk is one. */
const MAX_LOCALS = 200;
/** Limit of Lua 5.1 for the locals of others that a function uses. */
const MAX_UPVALUES = 60;

/**
 * @param {string} name of the script
 * @param {string} text assembled, without its first line; `$name` stands for a number.
 * @throws {Error} that names the script, the mistake and the line.
 */
export function checkScript(name, text) {
  const file = `${name}.lua`;
  const chunk = parseLua(file, text);
  for (const { name: found, loc } of chunk.globals) {
    if (BUILT_IN.has(found) && found !== 'hmget') continue;
    throw new Error(`${file}: "${found}" is not defined: ${lineOf(text, loc.start.line)}`);
  }
  refuseRedefined(name, text, chunk.body);
  const locals = maxLocals(chunk.body);
  if (locals > MAX_LOCALS) {
    throw new Error(`${name}.lua: expected at most ${MAX_LOCALS} locals with its parts, got ${locals}`);
  }
  refuseUpvalues(name, text, chunk.body);
}

/**
 * `$name` in a script stands for a setting.
 * @throws {Error} that names the script and the line.
 */
export function refuseUnknownNumbers(name, text, settings) {
  for (const line of text.split('\n'))
    for (const [, setting] of line.matchAll(/(?<!%)\$(\w+)/g))
      if (!settings.includes(setting))
        throw new Error(`${name}.lua: there is no setting "${setting}": ${line.trim()}`);
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

/** A function uses at most so many locals of the functions around it, with those that functions inside it use. */
function refuseUpvalues(script, text, body) {
  const used = new Map();
  walk(body, {
    use(identifier, binding, functions) {
      if (!binding) return;
      const from = functions.indexOf(binding.owner) + 1;
      for (const inner of functions.slice(from)) used.set(inner, (used.get(inner) ?? new Set()).add(binding));
    },
  });
  for (const [{ loc }, bindings] of used)
    if (bindings.size > MAX_UPVALUES)
      throw new Error(
        `${script}.lua: expected at most ${MAX_UPVALUES} outer locals in a function, got ${bindings.size}: ${lineOf(text, loc.start.line)}`,
      );
}
