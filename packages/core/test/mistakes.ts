import type { Storage } from '../src/index.js';

/** The params of any method. */
export type Parameter = ReturnType<typeof JSON.parse>;
export type Answer = { [key: string]: unknown };
export type Original = (params: object) => Promise<Answer>;
export type Mistake = (params: Parameter, original: Original, storage: Storage) => unknown;

export const forgets =
  (answer: unknown): Mistake =>
  async () =>
    answer;
/** Runs the step twice, as a client does that resends. */
export const twice: Mistake = async (params, original) =>
  original(params).then((first) => original(params).then(() => first));
export const change =
  (fields: object): Mistake =>
  (params, original) =>
    original({ ...params, ...fields });
export const answers =
  (make: (answer: Answer) => unknown): Mistake =>
  async (params, original) =>
    make(await original(params));
