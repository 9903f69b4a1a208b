import { deepStrictEqual } from 'node:assert/strict';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { JsonRefusedError, parseJson } from '../src/protocol/json.js';
import { addUnread, knownText, rememberText, unreadText, writeJson } from '../src/protocol/known-text.js';
import { parseJsonInPortions, PORTION, readField } from '../src/protocol/portioned-json.js';

/** What becomes of a text: its value as JSON, or that it is refused. */
async function outcomeOf(read: () => unknown): Promise<string> {
  try {
    return JSON.stringify(await read());
  } catch (error) {
    if (error instanceof JsonRefusedError) return 'refused';
    throw error;
  }
}

const sameOutcome = async (text: string, portion: number) =>
  expect(await outcomeOf(() => parseJsonInPortions(text, { portion }))).toBe(
    await outcomeOf(() => parseJson(text)),
  );

const spaces = fc.constantFrom('', '', ' ', '\n\t');

describe('a text parsed in portions', () => {
  it('has the value of a synchronous parse', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.jsonValue({ maxDepth: 6 }),
        fc.nat(3),
        fc.nat(20),
        async (value, indent, portion) => {
          await sameOutcome(JSON.stringify(value, undefined, indent), portion);
        },
      ),
      { numRuns: 1_000 },
    );
  });

  it('is refused for the same reasons as a synchronous parse', async () => {
    const parts = fc.constantFrom(
      '[',
      ']',
      '{',
      '}',
      ',',
      ':',
      '"',
      '"a"',
      '"a":',
      '1',
      '-',
      '[1,2]',
      '{"a":1}',
      '\\',
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(parts, spaces), { maxLength: 12 }),
        fc.nat(6),
        async (text, portion) => {
          await sameOutcome(text.flat().join(''), portion);
        },
      ),
      { numRuns: 20_000 },
    );
  });

  it.each([
    [
      '[[1,2,3],]',
      '[,[1,2,3]]',
      '[[1,2,3][1,2,3]]',
      '[[1,2,3] 4]',
      '[1[1,2,3]]',
      '[[1,2,3]}',
      '[[1,2,3]',
      '[1,2,3]]',
    ],
    [
      '{"a":[1,2,3],}',
      '{,"a":[1,2,3]}',
      '{[1,2,3]}',
      '{"a"[1,2,3]}',
      '{"a":1[1,2,3]}',
      '{"a":-[1,2,3]}',
      '{"a":[1,2,3]"b":1}',
    ],
    [
      '[1,2,3,4,,5]',
      '[1,2,3,4,]',
      '{"a":1,"b":2,,"c":3}',
      '[1,2,3,4',
      '"aaaaaaaa',
      '[1,2,3] [4]',
      '[tru,false]',
      '          ',
    ],
  ])('is refused with a missing or surplus comma, bracket or name: %#', async (...texts) => {
    for (const text of texts) {
      await expect(parseJsonInPortions(text, { portion: 4 }), text).rejects.toThrow(JsonRefusedError);
      expect(() => parseJson(text), text).toThrow(JsonRefusedError);
    }
  });

  it.each([
    '{"aaa":1,"__proto__":[1,2,3]}',
    '{"aaa":{"bbb":[1,{"constructor":1}]}}',
    String.raw`[1,2,3,{"a":1},{"\u005f_proto__":1}]`,
    `${'['.repeat(33)}1${']'.repeat(33)}`,
  ])('%s is refused as in a synchronous parse', async (text) => {
    await expect(parseJsonInPortions(text, { portion: 4 })).rejects.toThrow(JsonRefusedError);
    expect(() => parseJson(text)).toThrow(JsonRefusedError);
  });

  it('reports the place of a dangerous key', async () => {
    const text = `{"list":[${'1,'.repeat(50)}{"a":{"constructor":1}}]}`;
    await expect(parseJsonInPortions(text, { portion: 16 })).rejects.toThrow(
      'the key "constructor" at list.50.a is not allowed',
    );
  });

  it('does not quote what it could not read', async () => {
    await expect(
      parseJsonInPortions(`["${'x'.repeat(50)}",secret,[1,2,3]]`, { portion: 4 }),
    ).rejects.not.toThrow(/secret|xxx/);
  });

  it('remembers the text that JSON would write', async () => {
    const text = `{ "type" : "a", "payload": [ ${'1.0, -0, 1e2, 1e400, '.repeat(5)} {"b":[1, 2,3]} ] }`;
    const value = (await parseJsonInPortions(text, { portion: 8 })) as { payload: unknown };
    const whole = JSON.stringify(JSON.parse(text));
    expect(knownText(value)).toBe(whole);
    expect(JSON.stringify(value)).toBe(whole);
    expect(Object.is((value.payload as number[])[1], 0)).toBe(true);
    expect(knownText(value.payload)).toBe(JSON.stringify(value.payload));
  });

  it('remembers its parts only, on request', async () => {
    const frame = { event: 'task_completed', data: { rows: Array.from({ length: 20 }, (_, n) => ({ n })) } };
    const read = await parseJsonInPortions(JSON.stringify(frame), { portion: 10, partsOnly: true });
    expect(read).toEqual(frame);
    expect(knownText(read)).toBeUndefined();
    expect(knownText((read as typeof frame).data)).toBe(JSON.stringify(frame.data));
  });

  it('remembers the same text for any spacing and any portion boundaries', async () => {
    const fields = ['"b":1', '"10":[1,2,3]', '"a":[1,2,3,4,5,6,7,8]', '"b":{"2":1,"1":2}', '"9":9'];
    const big = '1'.repeat(400);
    for (const indent of ['', ' ', '\n    '])
      for (const portion of [4, 8, 16, 64]) {
        const text = `{${[...fields, `"n":[${big}, 1]`].map((field) => `${indent}${field}`).join(',')}}`;
        const whole = JSON.stringify(JSON.parse(JSON.stringify(JSON.parse(text))));
        const value = await parseJsonInPortions(text, { portion });
        expect(knownText(value)).toBe(whole);
        expect(JSON.stringify(value)).toBe(whole);
      }
  });

  it('parses and serialises each part once, a portion per turn', async () => {
    const text = `{"type":"a","payload":[${'[],'.repeat(170_000)}0]}`;
    const parse = vi.spyOn(JSON, 'parse');
    const write = vi.spyOn(JSON, 'stringify');
    onTestFinished(() => {
      vi.restoreAllMocks();
    });
    const turns = vi.spyOn(globalThis, 'setImmediate');
    await parseJsonInPortions(text);
    const read = parse.mock.calls.map(([part]) => part.length);
    const written = write.mock.results.map(({ value }) => (value as string).length);
    const total = (lengths: readonly number[]) => lengths.reduce((sum, length) => sum + length, 0);
    expect(Math.max(...read, ...written)).toBeLessThan(2 * PORTION);
    expect(total(read)).toBeLessThan(text.length * 1.01);
    expect(total(written)).toBeLessThan(text.length * 1.01);
    expect(turns.mock.calls.length).toBeGreaterThanOrEqual(Math.floor(text.length / PORTION));
  });

  it('takes no more turns after an abort', async () => {
    const text = `[${'1,'.repeat(1_000)}0]`;
    const giveUp = new AbortController();
    const turns = vi.spyOn(globalThis, 'setImmediate');
    const parse = vi.spyOn(JSON, 'parse');
    onTestFinished(() => {
      vi.restoreAllMocks();
    });
    const reason = new Error('gone');
    const given = parseJsonInPortions(text, { portion: 20, signal: giveUp.signal });
    const other = parseJsonInPortions('[1,2,3,4,5,6,7,8,9,0]', { portion: 20 });
    giveUp.abort(reason);
    await expect(given).rejects.toBe(reason);
    await expect(other).resolves.toHaveLength(10);
    expect(parse.mock.calls.length).toBeLessThan(5);
    expect(turns.mock.calls.length).toBeLessThan(10);
    await expect(parseJsonInPortions(text, { portion: 20, signal: giveUp.signal })).rejects.toBe(reason);
  });

  it('shares no turn with another', async () => {
    const text = `[${'1,'.repeat(100)}0]`;
    const portions: string[] = [];
    const parse = vi.spyOn(JSON, 'parse').mockImplementation(((part: string) => {
      portions.push(part);
      return [0];
    }) as typeof JSON.parse);
    onTestFinished(() => parse.mockRestore());
    const perTurn: number[] = [];
    let isOver = false;
    const watch = () => {
      perTurn.push(portions.splice(0).length);
      if (!isOver) setImmediate(watch);
    };
    setImmediate(watch);
    await Promise.all([1, 2, 3].map(() => parseJsonInPortions(text, { portion: 20 })));
    isOver = true;
    expect(perTurn.reduce((sum, count) => sum + count, portions.length)).toBeGreaterThan(20);
    expect(Math.max(...perTurn)).toBe(1);
  });
});

describe('a field kept as text', () => {
  const text = `[${'[1],'.repeat(30_000)}"ü"]`;
  const holder = () => {
    const made: { id: string; payload: unknown } = { id: 'x', payload: null };
    addUnread(made, 'payload', text);
    return made;
  };

  it('is parsed once, on first access', () => {
    const made = holder();
    const parse = vi.spyOn(JSON, 'parse');
    onTestFinished(() => parse.mockRestore());
    expect(Object.keys(made)).toEqual(['id', 'payload']);
    expect(parse).not.toHaveBeenCalled();
    expect(made.payload).toBe(made.payload);
    expect(parse).toHaveBeenCalledTimes(1);
    expect(made).toEqual({ id: 'x', payload: JSON.parse(text) });
  });

  it('is parsed from a frozen object too', () => {
    const made = Object.freeze(holder());
    expect(made.payload).toEqual(JSON.parse(text));
    expect(made.payload).toBe(made.payload);
    expect(JSON.parse(writeJson({ tasks: [made] }))).toEqual({
      tasks: [{ id: 'x', payload: JSON.parse(text) }],
    });
  });

  it('survives beside holes of an array, which are null in JSON', () => {
    const list: unknown[] = [];
    list[2] = holder();
    expect(JSON.parse(writeJson(list))).toEqual([null, null, { id: 'x', payload: JSON.parse(text) }]);
  });

  it('is written verbatim, at any depth of a response', () => {
    const expected = { id: 'x', payload: JSON.parse(text) };
    const parse = vi.spyOn(JSON, 'parse');
    const written = [writeJson(holder()), writeJson({ tasks: [holder()], next: undefined })];
    expect(parse).not.toHaveBeenCalled();
    parse.mockRestore();
    expect(written.map((json) => JSON.parse(json))).toEqual([expected, { tasks: [expected] }]);
  });

  it('is parsed a portion per turn for an async reader', async () => {
    const made = holder();
    const parse = vi.spyOn(JSON, 'parse');
    onTestFinished(() => parse.mockRestore());
    await readField(made, 'payload');
    expect(Math.max(...parse.mock.calls.map(([part]) => part.length))).toBeLessThan(2 * PORTION);
    expect(unreadText(made, 'payload')).toBeUndefined();
    expect(made.payload).toHaveLength(30_001);
  });

  it('can be assigned like any other', () => {
    const made = holder();
    made.payload = 1;
    expect(writeJson(made)).toBe('{"id":"x","payload":1}');
    expect(writeJson({ a: [undefined, { b: undefined }] })).toBe('{"a":[null,{}]}');
  });

  it('is shown by util.inspect and console.log as its value', () => {
    class Named {
      constructor(readonly payload: unknown = null) {}
    }
    const named = new Named();
    addUnread(named, 'payload', text);
    for (const made of [holder(), Object.freeze(holder()), named, { task: holder() }]) {
      const shown = inspect(made, { depth: 5 });
      expect(shown).toContain('payload: [');
      expect(shown).not.toMatch(/Getter|Setter/);
    }
    expect(inspect(named)).toMatch(/^Named /);
    // As other libraries do, which show whatever they are given.
    const custom = Reflect.get(holder(), inspect.custom) as (this: object) => object;
    const copy = custom.call(holder());
    expect(copy).toEqual(holder());
    expect(Reflect.get(copy, inspect.custom)).toBeUndefined();
    expect(inspect(Object.create(holder()))).toBe('{}');
  });

  it('is copied and compared as any other field', () => {
    const plain = { id: 'x', payload: JSON.parse(text) as unknown };
    expect(structuredClone(holder())).toStrictEqual(plain);
    expect({ ...holder() }).toStrictEqual(plain);
    expect(Object.assign({}, holder())).toStrictEqual(plain);
    expect(JSON.stringify(holder())).toBe(JSON.stringify(plain));
    expect(holder()).toStrictEqual(plain);
    deepStrictEqual(holder(), plain);
    expect(Reflect.ownKeys({ ...holder() })).toEqual(['id', 'payload']);
  });

  it('is independent in objects that inherit it', () => {
    const made = holder();
    const child = Object.create(made) as typeof made;
    child.payload = 1;
    expect(Object.hasOwn(child, 'payload')).toBe(true);
    expect(child.payload).toBe(1);
    expect(unreadText(made, 'payload')).toBe(text);
    expect(() => {
      (Object.freeze(Object.create(made)) as typeof made).payload = 1;
    }).toThrow(TypeError);
  });

  it('loses its text when redefined, deleted, or set through a proxy', () => {
    const [defined, deleted, through] = [holder(), holder(), holder()];
    Object.defineProperty(defined, 'payload', { value: 1, enumerable: true });
    expect(writeJson(defined)).toBe('{"id":"x","payload":1}');
    delete (deleted as Partial<typeof deleted>).payload;
    expect(writeJson(deleted)).toBe('{"id":"x"}');
    new Proxy(through, {}).payload = 1;
    expect(writeJson(through)).toBe('{"id":"x","payload":1}');
    for (const made of [defined, deleted, through]) expect(unreadText(made, 'payload')).toBeUndefined();
  });

  it('omits what JSON omits beside it', () => {
    const value = [1];
    rememberText(value, '[1]');
    expect(writeJson({ a: value, b: undefined, c: () => 1, d: [value, undefined] })).toBe(
      '{"a":[1],"d":[[1],null]}',
    );
  });
});
