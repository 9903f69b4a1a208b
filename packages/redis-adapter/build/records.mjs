// Records: fields of a hash that are read together, and used by name.
//
//   local step = hmget(key, 'state', 'rev')   reads them
//   step.rev                                  is replaced by step[2]: names cost nothing when the script runs
//
// With `-- @record` in the line above it, the record is known by its name in the whole file and in those that include it:
// every local, parameter or field called `step` is one. It is passed on under that name only.
import { lineAt, stringOf } from './lua-source.mjs';
import { walk } from './scopes.mjs';

/** @typedef {ReadonlyMap<string, readonly string[]>} Records by name: their fields */

/** The named records that a file declares. */
export function recordsOf({ text, chunk }) {
  const marked = new Set(
    [...text.matchAll(/^\s*-- @record\n\s*local (\w+) = hmget\(/gm)].map(([, name]) => name),
  );
  const records = new Map();
  walk(chunk.body, {
    define({ name, value }) {
      if (marked.has(name) && isRead(value)) records.set(name, fieldsOf(value));
    },
  });
  return records;
}

/** Whether a file has a local, a parameter or a field with the name of a record. */
export function usesRecord({ chunk }, name) {
  let isUsed = false;
  walk(chunk.body, {
    define(binding) {
      isUsed ||= binding.name === name;
    },
    node(node) {
      isUsed ||= node.type === 'MemberExpression' && node.identifier.name === name;
    },
  });
  return isUsed;
}

/** Whether an expression is `hmget(key, 'field', …)`. */
function isRead(node) {
  return node?.type === 'CallExpression' && node.base.type === 'Identifier' && node.base.name === 'hmget';
}

function fieldsOf({ arguments: [, ...fields] }) {
  return fields.map(stringOf);
}

/**
 * The text of a file with every read of a record and every field replaced.
 * @param {import('./lua-source.mjs').LuaSource} source
 * @param {Records} named records of the file and of its includes
 * @param {(name: string) => readonly string[] | undefined} parametersOf parameters of a function by its name
 * @throws {Error} that names the file and the line, for a field that a record does not have and a record whose
 *   fields get lost.
 */
export function withIndices(source, named, parametersOf) {
  const changes = [];
  const refuse = (node, message) => {
    throw new Error(`${source.file}: ${message}: ${lineAt(source, node)}`);
  };
  const replace = (start, end, text) => changes.push({ start, end, text });
  walk(source.chunk.body, {
    node(node, parent, lookup) {
      refuseUnnamed(node, refuse);
      if (isRead(node)) {
        checkRead(node, parent, refuse);
        replace(node.base.range[0], node.arguments[0].range[0], "redis.call('HMGET', ");
      }
      const record = recordAt(node, lookup, named);
      if (!record) return;
      if (parent?.type === 'MemberExpression' && parent.base === node && parent.indexer === '.') {
        const index = record.fields.indexOf(parent.identifier.name);
        if (index < 0)
          refuse(
            node,
            `"${record.name}" has no field "${parent.identifier.name}": expected ${record.fields.join(', ')}`,
          );
        replace(node.range[1], parent.range[1], `[${index + 1}]`);
      } else if (!isPassedOn(node, parent, record, parametersOf))
        refuse(
          node,
          `the record "${record.name}" is used without the name of a field, or passed under another name`,
        );
    },
  });
  return applied(source.text, changes);
}

/** The record that a name or a field of a table stands for. */
function recordAt(node, lookup, named) {
  if (node.type === 'Identifier') {
    const binding = lookup(node.name);
    if (!binding) return undefined;
    const fields = isRead(binding.value) ? fieldsOf(binding.value) : named.get(node.name);
    return fields && { name: node.name, fields, isNamed: named.has(node.name) };
  }
  if (node.type !== 'MemberExpression') return undefined;
  const { name } = node.identifier;
  return named.has(name) ? { name, fields: named.get(name), isNamed: true } : undefined;
}

/** Whether the record keeps its name where it goes. */
function isPassedOn(node, parent, { name, isNamed }, parametersOf) {
  if (!isNamed) return false;
  if (parent?.type === 'ReturnStatement') return true;
  if (parent?.type === 'TableKeyString') return parent.key.name === name;
  if (parent?.type !== 'CallExpression' || parent.base.type !== 'Identifier') return false;
  return parametersOf(parent.base.name)?.[parent.arguments.indexOf(node)] === name;
}

function checkRead(node, parent, refuse) {
  const fields = fieldsOf(node);
  if (fields.length === 0 || fields.includes(undefined))
    refuse(node, 'hmget: expected a key and the names of fields as strings');
  const twice = fields.find((field, at) => fields.indexOf(field) !== at);
  if (twice !== undefined) refuse(node, `hmget: field "${twice}" is named twice`);
  if (parent?.type !== 'LocalStatement' || parent.init.length !== 1 || parent.variables.length !== 1)
    refuse(node, 'hmget: expected a local of its own for the record');
}

/** Fields that are known when the script is written are read by name. */
function refuseUnnamed(node, refuse) {
  if (node.type !== 'CallExpression' || node.base.type !== 'MemberExpression') return;
  const [command, , ...fields] = node.arguments.map(stringOf);
  if (command === 'HMGET' && fields.length > 0 && !fields.includes(undefined))
    refuse(node, 'fields are read by name: expected hmget(key, …)');
}

function applied(text, changes) {
  let result = text;
  for (const { start, end, text: by } of changes.toSorted((a, b) => b.start - a.start))
    result = result.slice(0, start) + by + result.slice(end);
  return result;
}
