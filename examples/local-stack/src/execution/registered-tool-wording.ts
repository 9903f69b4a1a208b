import { type JsonObject, type JsonValue } from '@agent-orchestrator/core';
import { JsonRefusedError, parseJson } from '@agent-orchestrator/core/protocol';
import type { ToolDescription } from '../tools/tool.js';
import { digitsForWords } from './number-words.js';
import type { ToolRequest } from './tool-request.js';

/**
 * Reads a question that names a registered tool: `use vat with amount=100`, `net price: amount 80, rate 21`,
 * `vat {"amount": 100}`, or, if the tool has one parameter, `what is the vat of 100`.
 */
export function readRegisteredTool(
  message: string,
  tools: readonly ToolDescription[],
): ToolRequest | undefined {
  const lower = message.toLowerCase();
  const named = tools
    .toSorted((a, b) => b.name.length - a.name.length)
    .find(({ name }) => new RegExp(`(?<!\\w)${name.replaceAll('_', '[ _-]?')}(?!\\w)`).test(lower));
  if (named === undefined) return undefined;
  const args = argumentsIn(message, named);
  if (args === undefined) return undefined;
  return {
    tool: named.name,
    calls: [args],
    say: ([output]) => `${named.name}: ${wordOutput(output)}`,
  };
}

function argumentsIn(message: string, { name, parameters }: ToolDescription): JsonObject | undefined {
  const json = jsonIn(message);
  if (json !== undefined) return json;
  const properties = Object.entries((parameters['properties'] ?? {}) as Record<string, JsonObject>);
  const text = digitsForWords(message);
  const args: JsonObject = {};
  for (const [key, schema] of properties) {
    const value = new RegExp(
      `\\b${escaped(key).replaceAll('_', '[ _-]')}\\b\\s*(?:=|:|is|of|to)?\\s*("[^"]*"|'[^']*'|[^\\s,;?]+)`,
      'i',
    ).exec(text)?.[1];
    const read = value === undefined ? undefined : valueAs(value, schema);
    if (read !== undefined) args[key] = read;
  }
  const required = (parameters['required'] ?? []) as string[];
  const [only] = properties;
  if (Object.keys(args).length === 0 && only !== undefined && properties.length === 1) {
    const rest = text
      .replace(new RegExp(`^.*?${escaped(name).replaceAll('_', '[ _-]?')}`, 'i'), '')
      .replace(/^\W*(?:of|for|with|on|from)?\s*/, '');
    const number = /-?\d+(?:\.\d+)?/.exec(rest)?.[0];
    const value =
      only[1]['type'] === 'string' ? valueAs(rest.replace(/[?!.]+$/, ''), only[1]) : number && Number(number);
    if (value !== undefined && value !== '') args[only[0]] = value;
  }
  return required.some((key) => !Object.hasOwn(args, key)) ? undefined : args;
}

function jsonIn(message: string): JsonObject | undefined {
  const text = /\{[\s\S]*\}/.exec(message)?.[0];
  if (text === undefined) return undefined;
  try {
    return parseJson(text) as JsonObject;
  } catch (error) {
    if (error instanceof JsonRefusedError) return undefined;
    throw error;
  }
}

function valueAs(text: string, schema: JsonObject): JsonValue | undefined {
  const bare = text.replace(/^["']|["']$/g, '');
  if (schema['type'] === 'number' || schema['type'] === 'integer') {
    const number = Number(bare.replace(/[%.,]$/, ''));
    return bare === '' || Number.isNaN(number) ? undefined : number;
  }
  if (schema['type'] === 'boolean')
    return /^(?:true|yes|on)$/i.test(bare) ? true : /^(?:false|no|off)$/i.test(bare) ? false : undefined;
  return bare;
}

function wordOutput(output: JsonObject | undefined): string {
  const text = output?.['text'];
  return typeof text === 'string' ? text : JSON.stringify(output ?? null);
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
}
