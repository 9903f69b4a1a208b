// Puts scripts together from Lua files: the parts that a script needs, then the script, without what it does not use.
import { definedNames, checkIncludes, freeNames, namesOf, partsOf } from './includes.mjs';
import { parseLua, readSource, stringOf } from './lua-source.mjs';
import { recordsOf, usesRecord, withIndices } from './records.mjs';

/**
 * @typedef {object} Statement outside blocks
 * @property {string} text without comments and indentation
 * @property {readonly string[]} defines names
 * @property {readonly string[]} uses names of other statements
 * @property {string | undefined} extends the table of which it defines a function: needed wherever the table is
 * @property {boolean} isIdle whether it only defines names
 */

/**
 * @typedef {object} Composed
 * @property {string} name `submitFast` of `fast/submit_fast.lua`
 * @property {string} file
 * @property {string} flags
 * @property {readonly string[]} statements
 */

/**
 * @param {ReadonlyMap<string, string>} files text by path below `src`; with the generated parts
 * @param {{ readonly lenient?: boolean }} [options] `lenient`: without the checks of what is used, for a script with a
 *   deliberate mistake
 * @returns {Composed[]}
 * @throws {Error} that names the file, the line and the mistake.
 */
export function composeScripts(files, { lenient = false } = {}) {
  const sources = [...files].map(([file, text]) => readSource(file, text));
  const parts = new Map(sources.filter(({ isPart }) => isPart).map((part) => [part.name, part]));
  for (const source of sources) partsOf(source, parts);
  if (!lenient) for (const source of sources) checkIncludes(source, parts);
  const statements = new Map(sources.map((source) => [source, statementsOf(source, parts)]));
  const kept = new Set();
  const scripts = sources
    .filter(({ isPart }) => !isPart)
    .map((source) => {
      const own = partsOf(source, parts);
      refuseSharedNames(source, own);
      refuseUnknownRecords(source, own, parts);
      const needed = neededOf(
        own.flatMap((part) => statements.get(part)),
        statements.get(source),
      );
      for (const statement of needed) kept.add(statement);
      return {
        name: camelCase(source.name.slice(source.name.lastIndexOf('/') + 1)),
        file: source.file,
        flags: source.flags,
        statements: needed.map(({ text }) => text),
      };
    });
  if (!lenient) for (const part of parts.values()) refuseDead(part, statements.get(part), kept);
  refuseSameNames(scripts);
  return scripts;
}

function camelCase(name) {
  return name.replaceAll(/_(\w)/g, (_, letter) => letter.toUpperCase());
}

/** Two parts of a script that define the same name were written without each other. */
function refuseSharedNames(script, parts) {
  const known = new Map();
  for (const source of [...parts, script]) {
    for (const name of definedNames(source)) {
      const other = known.get(name);
      if (other) throw new Error(`${script.file}: "${name}" is defined by ${other} and by ${source.file}`);
      known.set(name, source.file);
    }
  }
}

/** A part without the record would read its fields from an array by name, and find none. */
function refuseUnknownRecords(script, parts, all) {
  const sources = [...parts, script];
  for (const declaring of parts)
    for (const record of recordsOf(declaring).keys())
      for (const source of sources) {
        if (source === declaring || partsOf(source, all).includes(declaring) || !usesRecord(source, record))
          continue;
        throw new Error(
          `${source.file}: "${record}" is a record of ${declaring.file}: expected -- @include ${declaring.name}`,
        );
      }
}

function refuseDead({ file }, statements, kept) {
  if (file.startsWith('generated/')) return;
  const dead = statements.find((statement) => statement.defines.length > 0 && !kept.has(statement));
  if (dead) throw new Error(`${file}: no script uses "${dead.defines.join(', ')}"`);
}

function refuseSameNames(scripts) {
  const known = new Map();
  for (const { name, file } of scripts) {
    const other = known.get(name);
    if (other) throw new Error(`two scripts have the name "${name}": ${other} and ${file}`);
    known.set(name, file);
  }
}

/** @returns {Statement[]} */
function statementsOf(source, parts) {
  const own = partsOf(source, parts);
  const records = new Map();
  for (const each of [...own, source])
    for (const [name, fields] of recordsOf(each)) {
      if (records.has(name)) throw new Error(`${source.file}: two records have the name "${name}"`);
      records.set(name, fields);
    }
  const parameters = parametersOf([...own, source]);
  const text = withIndices(source, records, (name) => parameters.get(name));
  return parseLua(source.file, text).body.map((statement) => statementOf(text, statement));
}

/** Parameters of the functions outside blocks, by name. */
function parametersOf(sources) {
  const parameters = new Map();
  for (const { chunk } of sources)
    for (const { type, identifier, parameters: named } of chunk.body)
      if (type === 'FunctionDeclaration' && identifier?.type === 'Identifier')
        parameters.set(
          identifier.name,
          named.map(({ name }) => name),
        );
  return parameters;
}

/** @returns {Statement} */
function statementOf(text, statement) {
  const lines = text.slice(...statement.range).split('\n');
  const { type, identifier, isLocal, init = [] } = statement;
  const isFunction = type === 'FunctionDeclaration';
  return {
    text: `${lines
      .filter((line) => !/^\s*(?:--.*)?$/.test(line))
      .map((line) => line.trim())
      .join('\n')}\n`,
    defines: namesOf(statement),
    uses: [...freeNames([statement]).keys()],
    extends: isFunction && !isLocal ? (identifier.base ?? identifier).name : undefined,
    isIdle: isFunction || (type === 'LocalStatement' && init.every(isPure)),
  };
}

/** Functions of Redis' Lua without an effect. */
const PURE_TABLES = new Set(['math', 'string']);
const PURE = new Set(['tonumber', 'tostring']);
const PURE_METHODS = new Set(['sub', 'match']);

/** Whether an expression does nothing but to give a value. */
function isPure(node) {
  switch (node.type) {
    case 'CallExpression':
      return isPureCall(node.base) && node.arguments.every(isPure) && isPureBase(node.base);
    case 'TableConstructorExpression':
      return node.fields.every(({ key, value }) => (key === undefined || isPure(key)) && isPure(value));
    case 'BinaryExpression':
    case 'LogicalExpression':
      return isPure(node.left) && isPure(node.right);
    case 'UnaryExpression':
      return isPure(node.argument);
    case 'MemberExpression':
      return isPure(node.base);
    case 'IndexExpression':
      return isPure(node.base) && isPure(node.index);
    case 'StringCallExpression':
    case 'TableCallExpression':
      return false;
    default:
      return true;
  }
}

function isPureCall(base) {
  if (base.type === 'Identifier') return PURE.has(base.name);
  if (base.type !== 'MemberExpression') return false;
  if (base.indexer === ':') return PURE_METHODS.has(base.identifier.name);
  return PURE_TABLES.has(base.base.name) || (base.base.name === 'cjson' && base.identifier.name === 'encode');
}

function isPureBase(base) {
  return base.type === 'Identifier' || isPure(base.base) || stringOf(base.base) !== undefined;
}

/**
 * The statements of a script in their order: its own, those of parts that do something, and what these use.
 * @param {readonly Statement[]} shared statements of parts
 * @param {readonly Statement[]} own
 */
function neededOf(shared, own) {
  const all = [...shared, ...own];
  const defining = new Map();
  for (const statement of all)
    for (const name of [...statement.defines, ...(statement.extends ? [statement.extends] : [])])
      defining.set(name, [...(defining.get(name) ?? []), statement]);
  const needed = new Set();
  const add = (statement) => {
    if (needed.has(statement)) return;
    needed.add(statement);
    for (const name of [...statement.uses, ...statement.defines])
      for (const each of defining.get(name) ?? []) add(each);
  };
  for (const statement of own) add(statement);
  for (const statement of shared) if (!statement.isIdle) add(statement);
  return all.filter((statement) => needed.has(statement));
}
