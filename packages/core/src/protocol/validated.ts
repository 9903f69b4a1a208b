import type { z } from 'zod';
import { validate } from './validation.js';

/** Schema of each value that has passed it and belongs to this process alone. */
const passed = new WeakMap<object, z.ZodType>();

/**
 * Like `validate`, for a value that no other code can change, such as the parsed body of a request: `validateOnce` takes the
 * result as it is. The result is frozen; a copy of it is validated again.
 */
export function validateOwned<T extends z.ZodType>(schema: T, value: unknown, what: string): z.output<T> {
  const result = validate(schema, value, what);
  if (typeof result === 'object' && result !== null) passed.set(Object.freeze(result), schema);
  return result;
}

/** Like `validate`, unless `value` is a result of `validateOwned` with the same schema. */
export function validateOnce<T extends z.ZodType>(schema: T, value: unknown, what: string): z.output<T> {
  const isValid = typeof value === 'object' && value !== null && passed.get(value) === schema;
  return isValid ? (value as z.output<T>) : validate(schema, value, what);
}
