import fc from 'fast-check';
import { expect } from 'vitest';
import type { Storage } from '../src/index.js';
import {
  BATCHES,
  check,
  comeToTheEnd,
  type HistorySubject,
  OPERATIONS,
  Reached,
  World,
} from './task-model.js';

export type { HistorySubject } from './task-model.js';

/** Opens an empty storage for one history. */
export type OpenSubject = () => Promise<HistorySubject>;

interface Happening {
  readonly operation: string;
  readonly picks: readonly number[];
}

export interface HistoryOptions {
  readonly numRuns: number;
  readonly seed: number;
  /** Happenings of one history, at most. Default 80. */
  readonly maxLength?: number;
  /** Whether a history that fails is made shorter, which may take minutes on a store in another process. Default true. */
  readonly shrink?: boolean;
  /** Whether there are batches as well. Default false. */
  readonly batches?: boolean;
}

function histories(maxLength: number, batches = false): fc.Arbitrary<Happening[]> {
  const names = Object.keys(batches ? { ...OPERATIONS, ...BATCHES } : OPERATIONS);
  const happening = fc.record({
    // The first one is what the others shrink to.
    operation: fc.constantFrom('nothing', ...names, 'claim', 'begin', 'record', 'report', 'settle', 'time'),
    picks: fc.array(fc.nat(1_000_000), { minLength: 14, maxLength: 14 }),
  });
  return fc.array(happening, { minLength: Math.min(20, maxLength), maxLength, size: 'max' });
}

async function happen(world: World, { operation, picks }: Happening): Promise<void> {
  let at = 0;
  const pick = (below: number) => (picks[at++ % picks.length] ?? 0) % below;
  await (OPERATIONS[operation] ?? BATCHES[operation])?.(world, pick);
}

/** Lives through generated histories, and checks after each happening that what must hold does. */
export async function runHistories(
  options: HistoryOptions & { readonly open: OpenSubject },
): Promise<Reached> {
  const reached = new Reached();
  const { open, numRuns, seed, maxLength = 80, shrink = true, batches } = options;
  await fc.assert(
    fc.asyncProperty(histories(maxLength, batches), async (happenings) => {
      const subject = await open();
      try {
        const world = new World(subject, subject.storage, reached);
        for (const happening of happenings) {
          await happen(world, happening);
          await check(world);
        }
        await comeToTheEnd(world);
      } finally {
        await subject.close();
      }
    }),
    { numRuns, seed, endOnFailure: !shrink },
  );
  return reached;
}

/** Lives through the same histories on two storages, and compares every answer. */
export async function runSideBySide(
  options: HistoryOptions & { readonly open: readonly [OpenSubject, OpenSubject] },
): Promise<Reached> {
  const reached = new Reached();
  const { open, numRuns, seed, maxLength = 80, shrink = true, batches } = options;
  await fc.assert(
    fc.asyncProperty(histories(maxLength, batches), async (happenings) => {
      const sides = [await Side.open(open[0], reached), await Side.open(open[1], reached)] as const;
      try {
        for (const happening of happenings) {
          for (const side of sides) {
            // In which order what is due in the same millisecond is done is a storage's own business.
            await side.world.subject.advance(1);
            await happen(side.world, happening);
          }
          compare(happening.operation, sides);
        }
        for (const side of sides) await comeToTheEnd(side.world);
        compare('the end', sides);
      } finally {
        for (const side of sides) await side.world.subject.close();
      }
    }),
    { numRuns, seed, endOnFailure: !shrink },
  );
  return reached;
}

function compare(operation: string, [one, other]: readonly [Side, Side]): void {
  expect(other.takeAnswers(), `answers in ${operation}`).toEqual(one.takeAnswers());
}

/** One of two storages, with what it has answered. */
class Side {
  readonly world: World;
  #answers: unknown[] = [];
  readonly #origin: number;

  private constructor(subject: HistorySubject, reached: Reached) {
    this.#origin = subject.now();
    this.world = new World(subject, this.#listening(subject.storage), reached);
  }

  static async open(open: OpenSubject, reached: Reached): Promise<Side> {
    return new Side(await open(), reached);
  }

  takeAnswers(): unknown[] {
    const answers = this.#answers;
    this.#answers = [];
    return answers;
  }

  #listening(storage: Storage): Storage {
    const parts = ['tasks', 'queue', 'journal', 'sessions', 'events', 'tenants'] as const;
    const heard = Object.fromEntries(parts.map((part) => [part, this.#hear(part, storage[part])]));
    return new Proxy(storage, {
      get: (target, key) => heard[String(key)] ?? Reflect.get(target, key, target),
    });
  }

  #hear(name: string, part: object): object {
    return new Proxy(part, {
      get: (target, key) => {
        const method: unknown = Reflect.get(target, key, target);
        if (typeof method !== 'function') return method;
        return async (params: unknown) => {
          const answer: unknown = await Reflect.apply(method, target, [params]);
          // How much a sweep had to look at is an adapter's own business.
          if (key !== 'sweep') {
            this.#answers.push([`${name}.${String(key)}`, normalised(answer, this.#origin)]);
          }
          return answer;
        };
      },
    });
  }
}

/** What each storage names in its own way: lease tokens, held notifications, seeds of random numbers. */
const OWN_NAMES = new Set(['token', 'heldId', 'seed']);
const CURSOR = /^[^\s:]+:(\d+)$/;
const TIMESTAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/** An answer without what may differ: names that are the storage's own, epochs, and when the history began. */
function normalised(value: unknown, origin: number): unknown {
  if (typeof value === 'string') {
    if (TIMESTAMP.test(value)) return `${Date.parse(value) - origin} ms`;
    return value.replace(CURSOR, 'epoch:$1');
  }
  if (Array.isArray(value)) return value.map((item) => normalised(item, origin));
  if (typeof value !== 'object' || value === null) return value;
  const fields: Record<string, unknown> = {};
  for (const [key, field] of Object.entries(value)) {
    if (field === undefined) continue;
    if (OWN_NAMES.has(key)) fields[key] = 'its own';
    else if (typeof field === 'number' && key.endsWith('At')) fields[key] = `${field - origin} ms`;
    else fields[key] = normalised(field, origin);
  }
  return fields;
}
