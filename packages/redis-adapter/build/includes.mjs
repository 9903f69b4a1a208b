// Resolves the includes of Lua files: which names a file may use, and in which order the parts of a script stand.
import { lineAt } from './lua-source.mjs';
import { recordsOf, usesRecord } from './records.mjs';
import { walk } from './scopes.mjs';

/** The names of Redis' Lua that scripts may use; `hmget` is replaced, see records. */
export const BUILT_IN = new Set([
  ...['redis', 'KEYS', 'ARGV', 'cjson', 'math', 'string', 'table', 'hmget'],
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

/** The names that a file defines for those that include it: its locals outside blocks. */
export function definedNames({ chunk }) {
  return new Set(chunk.body.flatMap(namesOf));
}

/** The names that a statement defines for those after it. */
export function namesOf(statement) {
  if (statement.type === 'LocalStatement') return statement.variables.map(({ name }) => name);
  return statement.type === 'FunctionDeclaration' && statement.isLocal ? [statement.identifier.name] : [];
}

/** The names that statements use and do not define themselves, with their first use. */
export function freeNames(body) {
  const free = new Map();
  walk(body, {
    use(identifier, binding) {
      if (!binding && !free.has(identifier.name)) free.set(identifier.name, identifier);
    },
  });
  return free;
}

/**
 * @param {import('./lua-source.mjs').LuaSource} source
 * @param {ReadonlyMap<string, import('./lua-source.mjs').LuaSource>} parts by name
 * @returns {import('./lua-source.mjs').LuaSource[]} the parts that a file needs, each behind those that it includes
 * @throws {Error} for an unknown part and a cycle.
 */
export function partsOf(source, parts) {
  const ordered = [];
  const visit = (user, path) => {
    for (const name of user.includes) {
      const part = parts.get(name);
      if (!part) throw new Error(`${user.file}: there is no part "${name}": expected a file in a folder lib`);
      const from = path.indexOf(name);
      if (from >= 0)
        throw new Error(`${user.file}: includes in a cycle: ${[...path.slice(from), name].join(' -> ')}`);
      if (ordered.includes(part)) continue;
      visit(part, [...path, name]);
      ordered.push(part);
    }
  };
  visit(source, source.isPart ? [source.name] : []);
  return ordered;
}

/**
 * Every name that a file uses comes from the file, from a part that it includes itself, or from Redis.
 * @param {import('./lua-source.mjs').LuaSource} source
 * @param {ReadonlyMap<string, import('./lua-source.mjs').LuaSource>} parts by name
 * @throws {Error} that names the file, the line, and the part to include where there is one.
 */
export function checkIncludes(source, parts) {
  const included = new Map();
  for (const name of source.includes)
    for (const defined of definedNames(parts.get(name))) included.set(defined, name);
  const used = new Set();
  for (const [name, node] of freeNames(source.chunk.body)) {
    if (BUILT_IN.has(name)) continue;
    const part = included.get(name);
    if (part === undefined)
      throw new Error(`${source.file}: ${advice(name, parts)}: ${lineAt(source, node)}`);
    used.add(part);
  }
  for (const name of source.includes)
    for (const record of recordsOf(parts.get(name)).keys()) if (usesRecord(source, record)) used.add(name);
  const twice = source.includes.find((name, at) => source.includes.indexOf(name) !== at);
  if (twice !== undefined) throw new Error(`${source.file}: "${twice}" is included twice`);
  const idle = source.includes.find((name) => !used.has(name) && !acts(parts.get(name)));
  if (idle !== undefined) throw new Error(`${source.file}: "${idle}" is included, and nothing of it is used`);
}

function advice(name, parts) {
  const defining = [...parts.values()]
    .filter((part) => definedNames(part).has(name))
    .map((part) => part.name);
  return defining.length === 0
    ? `"${name}" is not defined`
    : `"${name}" is used without its part: expected -- @include ${defining.join(' or ')}`;
}

/** Whether a part does more than to define names. */
function acts({ chunk }) {
  return chunk.body.some(({ type }) => type === 'IfStatement' || type === 'CallStatement');
}
