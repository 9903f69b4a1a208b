// What the built declarations of a package export, read with a parser: TypeScript 7 has no API that lasts yet.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseSync } from 'oxc-parser';

/**
 * A declaration that a package exports.
 *
 * `text` is without comments, `documented` with the doc comments of its members, `doc` the first paragraph of
 * its own one, or empty.
 *
 * @typedef {{ name: string, text: string, documented: string, doc: string, module: Module, nodes: object[] }} Declaration
 */

/** One `.d.ts` file: what it declares, imports and exports. */
class Module {
  /** @type {Map<string, object[]>} */
  declared = new Map();
  /** @type {Map<string, { from: string, name: string }>} */
  imported = new Map();
  /** @type {Map<string, { from?: string, name: string }>} */
  exported = new Map();

  constructor(path) {
    this.path = path;
    this.source = readFileSync(path, 'utf8');
    const { program, comments, errors } = parseSync(path, this.source, { lang: 'dts' });
    if (errors.length > 0) throw new Error(`${path}: ${errors[0].message}`);
    this.comments = comments;
    for (const statement of program.body) this.#read(statement);
  }

  #read(statement) {
    const { type, source, declaration, specifiers = [] } = statement;
    if (type === 'ImportDeclaration') {
      for (const { local, imported } of specifiers) {
        this.imported.set(local.name, { from: source.value, name: imported?.name ?? '*' });
      }
    } else if (type === 'ExportNamedDeclaration' && !declaration) {
      for (const { local, exported } of specifiers) {
        this.exported.set(exported.name, { name: local.name, ...(source && { from: source.value }) });
      }
    } else if (type === 'ExportAllDeclaration' || type === 'ExportDefaultDeclaration') {
      throw new Error(`${this.path}: expected exports by name, got ${type}`);
    } else {
      for (const name of namesOf(declaration ?? statement)) {
        this.declared.set(name, [...(this.declared.get(name) ?? []), statement]);
        if (declaration) this.exported.set(name, { name });
      }
    }
  }

  /** The statement without what is private, and without comments or with doc comments only. */
  textOf({ start, end }, { docs = false } = {}) {
    let text = '';
    let from = start;
    for (const comment of this.comments) {
      if (comment.start < start || comment.end > end || (docs && isDoc(comment))) continue;
      text += this.source.slice(from, comment.start);
      from = comment.end;
    }
    text = (text + this.source.slice(from, end)).replaceAll(PRIVATE, '');
    const lines = text.split('\n').filter((line) => line.trim() !== '');
    return lines.join('\n').trimEnd();
  }

  /** The first paragraph of the doc comment above a statement, in one line; empty without one. */
  docOf({ start }) {
    const above = this.comments.filter(({ end }) => end <= start).at(-1);
    if (above === undefined || !isDoc(above) || this.source.slice(above.end, start).trim() !== '') return '';
    const lines = above.value.split('\n').map((line) => line.replace(/^\s*\*+ ?/, '').trimEnd());
    const text = lines.join('\n').trim();
    const [paragraph = ''] = text.split(/\n\n|(?:^|\n)@/);
    return paragraph.replaceAll('\n', ' ').replaceAll(/\{@link ([^}]+)\}/g, '`$1`');
  }
}

const isDoc = ({ type, value }) => type === 'Block' && value.startsWith('*');
/** Lines of private members, with their doc comments. */
const PRIVATE =
  /(?:^[ \t]*\/\*\*(?:(?!\*\/)[^])*\*\/\s*)?^[ \t]*(?:#private|private (?!constructor)[^\n]*);$/gm;

function namesOf(declaration) {
  if (declaration.declarations) return declaration.declarations.map(({ id }) => id.name);
  return declaration.id ? [declaration.id.name] : [];
}

/** Names that may refer to another declaration: all identifiers but those of members. */
function* identifiersIn(node) {
  if (Array.isArray(node)) {
    for (const each of node) yield* identifiersIn(each);
  } else if (node !== null && typeof node === 'object') {
    if (node.type === 'Identifier') yield node.name;
    const isMember = 'key' in node && node.computed === false;
    for (const [field, value] of Object.entries(node)) {
      if (!(isMember && field === 'key')) yield* identifiersIn(value);
    }
  }
}

/** The declarations of one package, each file read once. */
export class Declarations {
  #modules = new Map();

  #module(path) {
    const known = this.#modules.get(path) ?? new Module(path);
    this.#modules.set(path, known);
    return known;
  }

  /** @returns {Declaration} Follows imports and exports to where the name is declared. */
  #resolve(module, { from, name }, exported) {
    if (from === undefined) {
      const nodes = module.declared.get(name);
      if (nodes) return declarationOf(name, module, nodes);
      const imported = module.imported.get(name);
      if (!imported) throw new Error(`${module.path}: expected a declaration of ${name}, found none`);
      return this.#resolve(module, imported, exported);
    }
    if (!from.startsWith('.')) {
      const renamed = name === exported ? name : `${name} as ${exported}`;
      const text = `export { ${renamed} } from '${from}';`;
      return { name, text, documented: text, doc: `See \`${from}\`.`, module, nodes: [] };
    }
    const next = this.#module(join(dirname(module.path), from.replace(/\.js$/, '.d.ts')));
    const found = next.exported.get(name);
    if (!found) throw new Error(`${module.path}: expected ${from} to export ${name}`);
    return this.#resolve(next, found, exported);
  }

  /** @returns {Map<string, Declaration>} What an entry point exports, by its public name. */
  exportsOf(path) {
    const module = this.#module(path);
    const names = [...module.exported].toSorted(([a], [b]) => (a < b ? -1 : 1));
    return new Map(names.map(([name, found]) => [name, this.#resolve(module, found, name)]));
  }

  /** @returns {Declaration[]} What these refer to, and, unless `directly`, what that refers to; without these. */
  referredToBy(declarations, { directly = false } = {}) {
    const seen = new Map(declarations.map((each) => [keyOf(each), each]));
    const found = [];
    for (const { module, nodes } of directly ? declarations : seen.values()) {
      for (const name of new Set(identifiersIn(nodes))) {
        if (!module.declared.has(name) && !module.imported.get(name)?.from.startsWith('.')) continue;
        const next = this.#resolve(module, { name }, name);
        if (seen.has(keyOf(next))) continue;
        seen.set(keyOf(next), next);
        if (next.nodes.length > 0) found.push(next);
      }
    }
    return found.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  }
}

function declarationOf(name, module, nodes) {
  const joined = (options) => nodes.map((node) => module.textOf(node, options)).join('\n');
  const doc = nodes.map((node) => module.docOf(node)).find((each) => each !== '') ?? '';
  return { name, text: joined(), documented: joined({ docs: true }), doc, module, nodes };
}

const keyOf = ({ name, module }) => `${name} ${module.path}`;
