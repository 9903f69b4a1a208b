// The part `generated/rules`: what the engine has decided, for Lua. Nothing in it is written by hand: a script takes the
// rules that it names, and nothing else of it reaches a server.

/** One-letter names of events in the log: they are stored, so they never change. */
export const EVENT_LETTERS = {
  c: 'task_created',
  s: 'task_started',
  u: 'task_status_update',
  d: 'task_completed',
  f: 'task_failed',
  x: 'session_updated',
};

/** Path of the part below `src`. */
export const RULES_FILE = 'generated/lib/rules.lua';

/**
 * @param {object} core the tables of `@agent-orchestrator/core/protocol`
 * @param {Readonly<Record<string, number>>} core.DEFAULTS
 * @param {readonly { readonly from?: string, readonly to: string }[]} core.TRANSITIONS
 * @param {(state: string) => string} core.statusOf
 * @param {(state: string) => boolean} core.isFinalState
 * @param {readonly string[]} core.TASK_STATUSES
 * @param {readonly string[]} core.EVENT_NAMES
 * @param {readonly string[]} core.FINAL_EVENTS
 * @param {Readonly<Record<string, string>>} core.TASK_TEXTS
 * @returns {string} Lua
 */
export function rulesOf(core) {
  checkLetters(core);
  const { TRANSITIONS, statusOf, isFinalState, TASK_STATUSES, FINAL_EVENTS } = core;
  const states = [...new Set(TRANSITIONS.map(({ to }) => to))];
  const lines = [
    '-- Rules of the engine, written by the build from the tables of core.',
    '',
    '-- Settings. `$name`: the number that the storage was opened with.',
    ...Object.keys(core.DEFAULTS).map((name) => `local ${constant(name)} = $${name}`),
    '',
    "-- Legal transitions, as ' from>to from>to '.",
    `local TRANSITIONS = ' ${[...new Set(TRANSITIONS.map(({ from = '', to }) => `${from}>${to}`))].join(' ')} '`,
    '',
    '-- Public status of a state.',
    `local STATUS = { ${states.map((state) => `${state} = '${statusOf(state)}'`).join(', ')} }`,
    `local STATUSES = { ${TASK_STATUSES.map((status) => `'${status}'`).join(', ')} }`,
    '',
    ...predicate('isFinalState', 'state', states.filter(isFinalState)),
    '',
    '-- Letters of events in the log.',
    ...Object.entries(EVENT_LETTERS).map(([letter, event]) => `local ${event.toUpperCase()} = '${letter}'`),
    '',
    ...predicate('isFinalEvent', 'letter', FINAL_EVENTS.map(letterOf)),
    '',
    '-- Texts that a storage writes.',
    ...Object.entries(core.TASK_TEXTS).flatMap(([name, text]) => textOf(name, text)),
    '',
  ];
  return lines.join('\n');
}

/** @type {(a: string, b: string) => number} */
const byName = (a, b) => (a < b ? -1 : 1);

function checkLetters({ EVENT_NAMES }) {
  const lettered = Object.values(EVENT_LETTERS).toSorted(byName).join(', ');
  const named = EVENT_NAMES.toSorted(byName).join(', ');
  if (lettered !== named)
    throw new Error(`letters of events: expected one for each of ${named}, got ${lettered}`);
}

function letterOf(event) {
  return Object.entries(EVENT_LETTERS).find(([, name]) => name === event)[0];
}

/** `maxEvents` as `MAX_EVENTS`. */
function constant(name) {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}

/** A chain of comparisons: it needs no table. */
function predicate(name, parameter, values) {
  const comparisons = values.map((value) => `${parameter} == '${value}'`).join(' or ');
  return [`local function ${name}(${parameter})`, `  return ${comparisons}`, 'end'];
}

/** A text without values is a constant, another one a function of its values in their order. */
function textOf(name, text) {
  const pieces = text.split(/\{(\w+)\}/);
  if (pieces.length === 1) return [`local ${constant(name)}_TEXT = ${quoted(text)}`];
  const values = pieces.filter((_, at) => at % 2 === 1);
  const joined = pieces
    .map((piece, at) => (at % 2 === 1 ? piece : quoted(piece)))
    .filter((piece) => piece !== "''");
  return [`local function ${name}Text(${values.join(', ')})`, `  return ${joined.join(' .. ')}`, 'end'];
}

function quoted(text) {
  return `'${text.replaceAll(/[\\']/g, '\\$&')}'`;
}
