import type { JsonObject, JsonValue } from '@agent-orchestrator/core';
import type { OperationContext } from '../service-definition.js';
import { textOfJson } from '../text/json-text.js';
import { evaluate, formatNumber } from './calculator.js';
import {
  addTo,
  DATE_UNITS,
  type DateUnit,
  differenceBetween,
  isoMoment,
  parseDate,
  weekdayOf,
} from './calendar.js';
import { textStatistics } from './text-statistics.js';
import type { Tool } from './tool.js';

const MAX_TEXT = 200_000;
const dateSchema = {
  type: 'string',
  maxLength: 40,
  description: '2026-01-31, 2026-01-31T10:00, today or now; UTC',
};

const calculator: Tool = {
  description: {
    name: 'calculator',
    description: 'Evaluates an arithmetic expression with + - * / % ^, parentheses, functions and constants.',
    parameters: {
      type: 'object',
      properties: {
        expression: { type: 'string', minLength: 1, maxLength: 2_000, description: 'e.g. 17% * 2340' },
      },
      required: ['expression'],
      additionalProperties: false,
    },
  },
  async run({ expression }) {
    const value = evaluate(textOfJson(expression));
    return { expression: textOfJson(expression), value, text: formatNumber(value) };
  },
};

const textStatisticsTool: Tool = {
  description: {
    name: 'text_statistics',
    description:
      'Counts characters, words, sentences and paragraphs of a text, its commonest words and reading time.',
    parameters: {
      type: 'object',
      properties: { text: { type: 'string', maxLength: MAX_TEXT } },
      required: ['text'],
      additionalProperties: false,
    },
  },
  run: async ({ text }) => textStatistics(textOfJson(text)),
};

const documentSearch: Tool = {
  description: {
    name: 'document_search',
    description: 'Finds the passages of the ingested documents that fit a query best.',
    parameters: {
      type: 'object',
      properties: {
        query: { type: 'string', minLength: 1, maxLength: 2_000 },
        collection: { type: 'string', maxLength: 200 },
        top_k: { type: 'integer', minimum: 1, maximum: 20 },
      },
      required: ['query'],
      additionalProperties: false,
    },
  },
  run: ({ query, ...rest }, context) =>
    context.call('query', 'search', { question: textOfJson(query), ...rest }),
};

function dateTime(now: () => Date): Tool {
  return {
    description: {
      name: 'date_time',
      description:
        'The current date and time, the time between two dates, a date so much later, the day of the week. UTC.',
      parameters: {
        type: 'object',
        properties: {
          operation: { enum: ['now', 'difference', 'add', 'weekday'] },
          date: dateSchema,
          from: dateSchema,
          to: dateSchema,
          amount: { type: 'integer', description: 'May be negative.' },
          unit: { enum: [...DATE_UNITS] },
        },
        required: ['operation'],
        additionalProperties: false,
        allOf: [
          needs('difference', ['from', 'to']),
          needs('add', ['date', 'amount', 'unit']),
          needs('weekday', ['date']),
        ],
      },
    },
    run: async (args) => dateTimeOutput(args, now()),
  };
}

function needs(operation: string, required: string[]): JsonObject {
  // oxlint-disable-next-line unicorn/no-thenable -- a keyword of JSON Schema
  return { if: { properties: { operation: { const: operation } } }, then: { required } };
}

function dateTimeOutput(args: JsonObject, now: Date): JsonValue {
  const dateOf = (key: string) => parseDate(textOfJson(args[key]), now);
  switch (textOfJson(args['operation'])) {
    case 'difference': {
      const [from, to] = [dateOf('from'), dateOf('to')];
      return { from: isoMoment(from), to: isoMoment(to), ...differenceBetween(from, to) };
    }
    case 'add': {
      const date = addTo(dateOf('date'), Number(args['amount']), args['unit'] as DateUnit);
      return { date: isoMoment(date), weekday: weekdayOf(date) };
    }
    case 'weekday': {
      const date = dateOf('date');
      return { date: isoMoment(date), weekday: weekdayOf(date) };
    }
    default:
      return {
        date: now.toISOString().slice(0, 10),
        time: now.toISOString().slice(11, 19),
        weekday: weekdayOf(now),
        zone: 'UTC',
      };
  }
}

/** Tools of every tenant. */
export function builtInTools(now: () => Date = () => new Date()): Tool[] {
  return [calculator, dateTime(now), textStatisticsTool, documentSearch];
}

/** A tool whose value is a formula of its arguments, e.g. `amount * rate / 100`. */
export function formulaTool(description: Tool['description'], formula: string): Tool {
  return {
    description,
    async run(args) {
      const values = Object.entries(args).filter(
        (entry): entry is [string, number] => typeof entry[1] === 'number',
      );
      const value = evaluate(formula, Object.fromEntries(values));
      return { expression: formula, value, text: formatNumber(value) };
    },
  };
}

/** A tool that is an operation of a service, called with the tool's arguments. */
export function delegatingTool(
  description: Tool['description'],
  target: { service: string; operation: string },
): Tool {
  return {
    description,
    run: (args: JsonObject, context: OperationContext) =>
      context.call(target.service, target.operation, args),
  };
}
