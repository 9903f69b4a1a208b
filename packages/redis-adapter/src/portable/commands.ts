/** A command of Redis on keys of one tenant. */
export type Command = readonly (string | number)[];

/** Words of a command, at most. */
const WORDS = 400;

/** A command with many elements, in several. */
export function* inParts(
  name: string,
  key: string,
  elements: readonly (string | number)[],
  group = 1,
): Generator<Command> {
  const step = WORDS - (WORDS % group);
  for (let from = 0; from < elements.length; from += step)
    yield [name, key, ...elements.slice(from, from + step)];
}

/** Timers of a tenant: those due in the same millisecond fire in the order of their calls. */
export class Timers {
  #order = 0;

  constructor(private readonly key: string) {}

  schedule(kind: string, at: number, what: string): Command {
    this.#order = (this.#order + 1) % 1_000;
    return ['ZADD', this.key, `${at}.${String(this.#order).padStart(3, '0')}`, `${kind}\n${what}`];
  }
}

export function bytesOf(text: string): number {
  return Buffer.byteLength(text);
}
