// A Lua file of the adapter: its header, and its syntax tree.
//
// Header lines of a script or a part (a file in a folder `lib`):
//   -- @include tasks/task events/events   parts whose names it uses: `tasks/task` is src/tasks/lib/task.lua
//   -- @reads                              (script) it may run on a server that refuses writes
//   -- @intake                             (script) it stores new data, so it is refused when memory is short
import luaparse from 'luaparse';

/**
 * @typedef {object} LuaSource
 * @property {string} name `tasks/submit` of a script, `tasks/task` of a part
 * @property {string} file its path below `src`, for messages
 * @property {boolean} isPart
 * @property {string} text
 * @property {readonly string[]} includes
 * @property {string} flags of the script for Redis
 * @property {{ readonly body: readonly object[] }} chunk
 */

/**
 * @param {string} file path below `src`, such as `tasks/lib/task.lua`
 * @param {string} text
 * @returns {LuaSource}
 * @throws {Error} that names the file, the line and the mistake.
 */
export function readSource(file, text) {
  const includes = [...text.matchAll(/^-- ?@include (.*)$/gm)].flatMap(([, names]) =>
    names.trim().split(/\s+/),
  );
  return {
    name: file.replace(/\/lib\/([^/]+)$/, '/$1').replace(/\.lua$/, ''),
    file,
    isPart: /(?:^|\/)lib\/[^/]+$/.test(file),
    text,
    includes,
    flags: flagsOf(text),
    chunk: parseLua(file, text),
  };
}

/** Only scripts that accept new data are refused when memory is short. Scripts that read may not write. */
function flagsOf(text) {
  if (/^-- @reads$/m.test(text)) return 'no-writes';
  return /^-- @intake$/m.test(text) ? '' : 'allow-oom';
}

/**
 * Syntax tree of a Lua 5.1 chunk, in which `$name` stands for a number that the adapter knows when it starts.
 * @throws {Error} that names the file, the line and the mistake.
 */
export function parseLua(file, text) {
  // Of the same length, so that positions in the tree are positions in the text.
  const numbers = text.replaceAll(/\$\w+/g, ({ length }) => '0'.repeat(length));
  try {
    return luaparse.parse(numbers, { luaVersion: '5.1', locations: true, ranges: true, scope: true });
  } catch (error) {
    throw new Error(`${file}: ${error.message}: ${lineOf(text, error.line)}`, { cause: error });
  }
}

/** A line of a text, from 1 on. */
export function lineOf(text, line) {
  return (text.split('\n')[line - 1] ?? '').trim();
}

/** The line of a node, for messages. */
export function lineAt({ text }, node) {
  return lineOf(text, node.loc.start.line);
}

/** The value of a string literal: luaparse has the text with its quotes. */
export function stringOf(node) {
  return node?.type === 'StringLiteral' ? node.raw.slice(1, -1) : undefined;
}
