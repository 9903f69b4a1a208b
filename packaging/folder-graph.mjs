// Draws which folder of a package imports which, into ARCHITECTURE.md: `npm run graph` writes, `npm run check:graph` fails
// where the picture is not what the sources say, and where folders depend on each other in a cycle. Imports of types count.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { root } from './packages.mjs';

const PACKAGES = ['core', 'redis-adapter', 'ws-server', 'notifier', 'cli'];
const DOCUMENT = join(root, 'ARCHITECTURE.md');
const SECTION = /(<!-- folders: .*? -->\n)[\s\S]*?(<!-- \/folders -->)/;

/** @type {(a: string, b: string) => number} */
const byName = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

/** @returns {Map<string, Set<string>>} By folder: the folders that it imports. Files at the top are the package itself. */
function foldersOf(name) {
  const source = `packages/${name}/src`;
  const folder = (file) => {
    const [first, ...more] = relative(source, file).split('/');
    return more.length === 0 ? name : first;
  };
  const imports = new Map();
  const files = execFileSync('git', ['ls-files', '-z', source], { cwd: root, encoding: 'utf8' });
  for (const file of files.split('\0').filter((path) => path.endsWith('.ts'))) {
    const own = imports.get(folder(file)) ?? new Set();
    imports.set(folder(file), own);
    for (const [, path] of readFileSync(join(root, file), 'utf8').matchAll(/\bfrom '(\.[^']+)';/g)) {
      const imported = folder(join(dirname(file), path));
      if (imported !== folder(file) && imported !== 'generated') own.add(imported);
    }
  }
  return imports;
}

/** @returns {string[]} The folders, each behind all that it imports. @throws {Error} that names a cycle. */
function ordered(name, imports) {
  const done = [];
  const visit = (folder, path) => {
    if (done.includes(folder)) return;
    if (path.includes(folder)) {
      const cycle = [...path.slice(path.indexOf(folder)), folder].join(' -> ');
      throw new Error(`packages/${name}/src: expected folders that depend one way, got ${cycle}`);
    }
    for (const imported of [...(imports.get(folder) ?? [])].toSorted(byName))
      visit(imported, [...path, folder]);
    done.push(folder);
  };
  for (const folder of [...imports.keys()].toSorted(byName)) visit(folder, []);
  return done;
}

/** Arrows that other arrows imply are left out: what is behind a folder that is drawn is reached through it. */
function arrowsOf(imports, order) {
  const reached = new Map();
  const arrows = [];
  for (const folder of order) {
    const own = [...(imports.get(folder) ?? [])];
    const through = new Set(own.flatMap((imported) => [...(reached.get(imported) ?? [])]));
    reached.set(folder, new Set([...own, ...through]));
    for (const imported of own.toSorted(byName)) if (!through.has(imported)) arrows.push([folder, imported]);
  }
  return arrows;
}

const pictures = PACKAGES.map((name) => {
  const imports = foldersOf(name);
  const arrows = arrowsOf(imports, ordered(name, imports));
  const id = (folder) => `${name}_${folder}`.replaceAll('-', '_');
  const lines = arrows.map(([from, to]) => `  ${id(from)}[${from}] --> ${id(to)}[${to}]`);
  return `**${name}**\n\n\`\`\`mermaid\nflowchart TD\n${lines.join('\n')}\n\`\`\`\n`;
});
const before = readFileSync(DOCUMENT, 'utf8');
if (!SECTION.test(before))
  throw new Error('ARCHITECTURE.md: expected a section between "<!-- folders" and "<!-- /folders -->"');
const after = before.replace(SECTION, (_, begin, end) => `${begin}\n${pictures.join('\n')}\n${end}`);
if (!process.argv.includes('--check')) writeFileSync(DOCUMENT, after);
else if (after !== before) {
  console.error(
    'ARCHITECTURE.md: expected the folders as the sources import them, got others: npm run graph',
  );
  process.exitCode = 1;
}
