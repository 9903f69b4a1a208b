import type { OrchestratorError } from '@agent-orchestrator/core';
import { listSchema, validate } from '@agent-orchestrator/core/protocol';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { planSchema } from '../src/protocol/plan.js';
import { batchSubmissionSchema } from '../src/protocol/task.js';

function refusal(schema: z.ZodType, value: unknown): OrchestratorError {
  try {
    validate(schema, value, 'the body');
  } catch (error) {
    return error as OrchestratorError;
  }
  throw new Error('nothing was refused');
}

/** A schema that counts how often it is asked. */
function counted() {
  const counter = { asked: 0 };
  const schema = z.custom<string>((value) => {
    counter.asked += 1;
    return typeof value === 'string';
  }, 'expected a string');
  return { counter, schema };
}

describe('a list', () => {
  it('of too many items is refused before any of them is read', () => {
    const { counter, schema } = counted();
    const { message } = refusal(listSchema(schema, { max: 1_000 }), Array.from({ length: 200_000 }));
    expect(message).toContain('<=1000');
    expect(counter.asked).toBe(0);
  });

  it.each([
    ['of numbers', 7, 20],
    // Each is read once more, as if it were left out.
    ['of nulls', null, 40],
  ])('%s instead of strings is read until 20 errors', (_, item, asked) => {
    const { counter, schema } = counted();
    const error = refusal(z.object({ list: listSchema(schema, { max: 1_000 }) }), {
      list: Array.from({ length: 1_000 }).fill(item),
    });
    expect(counter.asked).toBeLessThanOrEqual(asked);
    expect(error.issues).toHaveLength(20);
    expect(error.issues?.[3]).toEqual({ path: 'list.3', expected: 'a string', got: String(item) });
    expect(error.message).toContain('(and at least 19 more)');
  });

  it('with null in optional fields is read completely, each item at most twice', () => {
    const { counter, schema } = counted();
    const item = z.object({ name: schema, size: z.number().optional() });
    const list = Array.from({ length: 1_000 }, (_, at) => ({ name: `n${at}`, size: null }));
    const read = validate(z.object({ list: listSchema(item, { max: 1_000 }) }), { list }, 'the body');
    expect(read.list).toHaveLength(1_000);
    expect(read.list[999]).toEqual({ name: 'n999' });
    expect(counter.asked).toBe(2_000);
  });

  it('reports places in lists of lists', () => {
    const schema = z.object({ rows: listSchema(listSchema(z.number(), { max: 3 }), { max: 3 }) });
    expect(refusal(schema, { rows: [[1], [1, 'x']] }).issues).toEqual([
      { path: 'rows.1.1', expected: 'number', got: '"x"' },
    ]);
  });
});

describe('nulls', () => {
  it('in list items are treated as elsewhere: absent, or refused', () => {
    const item = z.object({
      a: z.number().optional(),
      inner: listSchema(z.object({ b: z.string().optional() }), { max: 3 }),
    });
    const schema = z.object({ list: listSchema(item, { max: 3 }) });
    const body = { list: [{ inner: [] }, { a: null, inner: [{ b: null }] }] };
    expect(validate(schema, body, 'the body')).toEqual({ list: [{ inner: [] }, { inner: [{}] }] });
    const refused = () => validate(schema, body, 'the settings', 'invalid_request', 'refused');
    expect(refused).toThrow('the settings at "list.1.a": expected number, got null (and 1 more)');
    expect(validate(schema, body, 'the body').list).toHaveLength(2);
  });

  const schema = z.object({
    a: z.object({ b: z.number().optional(), c: z.number() }),
    d: z.string().optional(),
    e: z.unknown(),
  });

  it('count as absent where not expected, and nowhere else', () => {
    const body = { a: { b: null, c: 1 }, d: null, e: { kept: null } };
    expect(validate(schema, body, 'the body')).toEqual({ a: { c: 1 }, e: { kept: null } });
    expect(body).toEqual({ a: { b: null, c: 1 }, d: null, e: { kept: null } });
  });

  it('in a required field are reported', () => {
    expect(refusal(schema, { a: { b: null, c: null }, d: null, e: 1 }).issues).toEqual([
      { path: 'a.c', expected: 'number', got: 'null' },
    ]);
  });
});

describe('the error of a body', () => {
  it('does not grow with its keys', () => {
    const strict = z.strictObject({});
    const error = refusal(
      strict,
      Object.fromEntries(Array.from({ length: 5_000 }, (_, at) => [`${at}`.padStart(200, 'k'), 1])),
    );
    expect(error.issues).toHaveLength(20);
    expect(JSON.stringify(error.issues).length).toBeLessThan(10_000);
    expect(refusal(strict, { ['k'.repeat(500_000)]: 1 }).message.length).toBeLessThan(500);
  });

  it.each([
    ['a plan of nulls', planSchema, { steps: Array.from({ length: 200_000 }).fill(null) }],
    [
      'a thousand steps that each wait for nulls',
      planSchema,
      {
        steps: Array.from({ length: 1_000 }, (_, at) => ({
          id: `s${at}`,
          service: 'echo',
          operation: 'run',
          depends_on: Array.from({ length: 180 }).fill(null),
        })),
      },
    ],
    ['a batch without an end', batchSubmissionSchema, { requests: Array.from({ length: 500_000 }).fill(0) }],
  ])('does not grow with %s', (_, schema, body) => {
    const { issues, message } = refusal(schema, body);
    expect(issues?.length).toBeLessThanOrEqual(20);
    expect(message.length).toBeLessThan(500);
  });
});
