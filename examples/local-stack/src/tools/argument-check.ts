import { type Issue, type JsonObject, type JsonValue, OrchestratorError } from '@agent-orchestrator/core';
import { describe } from '@agent-orchestrator/core/protocol';
import { type ErrorObject, Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';

const MAX_SCHEMA_CHARACTERS = 16_384;
/** Keywords that schemas of tenants may not have: they run regular expressions, or refer to other schemas. */
const REFUSED = new Set(['pattern', 'patternProperties', 'format', '$ref', '$dynamicRef', '$id', '$schema']);

/** Validates arguments by the tool's JSON Schema (2020-12). Throws `invalid_request` with the location. */
export type ArgumentCheck = (args: JsonObject) => void;

/**
 * @throws {OrchestratorError} `invalid_request` if `parameters` is not a supported JSON Schema of an object.
 */
export function argumentCheck(tool: string, parameters: JsonObject): ArgumentCheck {
  if (parameters['type'] !== 'object') {
    throw new OrchestratorError(
      'invalid_request',
      `parameters of "${tool}": expected a JSON Schema with "type": "object"`,
    );
  }
  if (JSON.stringify(parameters).length > MAX_SCHEMA_CHARACTERS) {
    throw new OrchestratorError(
      'invalid_request',
      `parameters of "${tool}": expected at most ${MAX_SCHEMA_CHARACTERS} characters, got more`,
    );
  }
  refuseKeywords(tool, parameters);
  const check = compiled(tool, parameters);
  return (args) => {
    if (check(args)) return;
    const issues = (check.errors ?? []).map((error) => issueOf(error, args));
    const first = issues[0] ?? { path: '', expected: 'other arguments', got: 'these' };
    const where = first.path === '' ? '' : ` at "${first.path}"`;
    const message = `arguments of "${tool}"${where}: expected ${first.expected}, got ${first.got}`;
    throw new OrchestratorError('invalid_request', message, { issues });
  };
}

function compiled(tool: string, parameters: JsonObject): ValidateFunction {
  try {
    // One instance per schema: no schema is shared between tenants.
    return new Ajv2020({
      allErrors: false,
      strictSchema: true,
      strictTypes: false,
      strictTuples: false,
      logger: false,
    }).compile(parameters);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new OrchestratorError(
      'invalid_request',
      `parameters of "${tool}": expected a JSON Schema, got one with a mistake: ${reason}`,
    );
  }
}

function refuseKeywords(tool: string, value: JsonValue): void {
  if (value === null || typeof value !== 'object') return;
  if (Array.isArray(value)) {
    for (const item of value) refuseKeywords(tool, item);
    return;
  }
  for (const [key, inner] of Object.entries(value)) {
    // `{"properties": {"format": {…}}}` is a parameter of that name, not the keyword.
    const isKeyword = REFUSED.has(key) && (typeof inner === 'string' || key === 'patternProperties');
    if (isKeyword)
      throw new OrchestratorError(
        'invalid_request',
        `parameters of "${tool}": the keyword "${key}" is not supported`,
      );
    refuseKeywords(tool, inner);
  }
}

function issueOf({ instancePath, keyword, params, message }: ErrorObject, args: JsonObject): Issue {
  const path = instancePath
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  if (keyword === 'required')
    return {
      path: [...path, String(params['missingProperty'])].join('.'),
      expected: 'a value',
      got: 'nothing',
    };
  if (keyword === 'additionalProperties') {
    return {
      path: [...path, String(params['additionalProperty'])].join('.'),
      expected: 'no such argument',
      got: 'one',
    };
  }
  const got = path.reduce<unknown>(
    (value, key) => (value as Record<string, unknown> | undefined)?.[key],
    args,
  );
  return { path: path.join('.'), expected: expectationOf(keyword, params, message), got: describe(got) };
}

function expectationOf(
  keyword: string,
  params: Record<string, unknown>,
  message: string | undefined,
): string {
  if (keyword === 'type') return String(params['type']);
  if (keyword === 'enum') return `one of ${(params['allowedValues'] as unknown[]).map(String).join(', ')}`;
  return (message ?? 'another value').replace(/^must (?:be |NOT have |have )?/, '');
}
