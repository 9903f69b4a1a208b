import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Declarations } from '../packaging/declarations.mjs';

const FILES: Readonly<Record<string, string>> = {
  'index.d.ts': `
    export { Shop, type Ware as Item } from './shop.js';
    export { Redis } from 'ioredis';`,
  'shop.d.ts': `
    import type { Price } from './price.js';
    /**
     * Sells {@link Ware}s,
     * one by one.
     *
     * Never on Sundays.
     */
    export declare class Shop {
        #private;
        /** Of the shop. */
        private till;
        private constructor();
        /** Of the first. */
        priceOf(ware: Ware): Price;
    }
    export interface Ware {
        readonly hidden: string;
    }
    interface hidden {
    }`,
  'price.d.ts': `
    export type Price = number;
    export declare const unused: 1;`,
  'default.d.ts': 'export * from "./price.js";',
  'broken.d.ts': 'export { Nothing } from "./price.js";',
};

describe('the report of what a package exports', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'declarations-'));
    for (const [name, text] of Object.entries(FILES)) await writeFile(join(folder, name), text);
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('has each public name with its declaration, without comments and private members', () => {
    const exported = new Declarations().exportsOf(join(folder, 'index.d.ts'));
    const texts = [...exported].map(([name, { text }]) => [name, text.replaceAll(/\s+/g, ' ')]);
    expect(texts).toEqual([
      ['Item', 'export interface Ware { readonly hidden: string; }'],
      ['Redis', "export { Redis } from 'ioredis';"],
      ['Shop', 'export declare class Shop { private constructor(); priceOf(ware: Ware): Price; }'],
    ]);
  });

  it('has the doc comment of each, and those of its public members', () => {
    const exported = new Declarations().exportsOf(join(folder, 'index.d.ts'));
    const documented = [...exported].map(([name, { doc, documented }]) => [
      name,
      doc,
      documented.replaceAll(/\s+/g, ' '),
    ]);
    expect(documented).toEqual([
      ['Item', '', 'export interface Ware { readonly hidden: string; }'],
      ['Redis', 'See `ioredis`.', "export { Redis } from 'ioredis';"],
      [
        'Shop',
        'Sells `Ware`s, one by one.',
        'export declare class Shop { private constructor(); /** Of the first. */ priceOf(ware: Ware): Price; }',
      ],
    ]);
  });

  it('has what they refer to, but not what only has the name of a member', () => {
    const declarations = new Declarations();
    const exported = [...declarations.exportsOf(join(folder, 'index.d.ts')).values()];
    expect(declarations.referredToBy(exported).map(({ text }) => text)).toEqual([
      'export type Price = number;',
    ]);
  });

  it.each([
    ['default.d.ts', 'expected exports by name, got ExportAllDeclaration'],
    ['broken.d.ts', 'expected ./price.js to export Nothing'],
  ])('refuses %s', (file, message) => {
    expect(() => new Declarations().exportsOf(join(folder, file))).toThrow(message);
  });
});
