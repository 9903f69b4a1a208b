// Writes `docs/reference/`: a page for each entry point, with the doc comment and the declaration of each name.
// `npm run api` writes, `npm run check:api` fails where a page is not what the build exports. A name without a
// doc comment is refused.
import { join } from 'node:path';
import { Declarations } from './declarations.mjs';
import { writeOrCheck } from './generated-folder.mjs';
import { publishedPackages, root } from './packages.mjs';

const KINDS = [
  ['Classes', /^export declare (?:abstract )?class /m],
  ['Functions', /^export declare function /m],
  ['Constants', /^export declare const /m],
  ['Types', /^/],
];

const anchorOf = (name, file = '') => `[${name}](${file}#${name.toLowerCase()})`;

/** Links to the names of a page, by kind, and to what they refer to on other pages. */
function contentsOf(exported, elsewhere) {
  const links = new Map(KINDS.map(([kind]) => [kind, []]));
  for (const [name, { text }] of exported) {
    const [kind] = KINDS.find(([, pattern]) => pattern.test(text));
    links.get(kind).push(anchorOf(name));
  }
  links.set('On other pages', elsewhere);
  const rows = [...links].filter(([, names]) => names.length > 0);
  return rows.map(([kind, names]) => `**${kind}:** ${names.join(', ')}\n`).join('\n');
}

const block = (declaration) => `\`\`\`typescript\n${declaration}\n\`\`\`\n`;

/**
 * @param {Map<string, Declaration>} exported
 * @param {{ hidden: readonly Declaration[], elsewhere: readonly string[] }} referred What these refer to: what no
 *   entry point exports, and links to what another one does.
 * @returns {string} The page of an entry point.
 */
function pageOf(specifier, exported, { hidden, elsewhere }) {
  const parts = [
    `# \`${specifier}\`\n\nWritten by \`npm run api\` from the declarations.\n`,
    contentsOf(exported, elsewhere),
  ];
  for (const [name, { doc, documented }] of exported) {
    parts.push(`## ${name}\n\n${doc}\n\n${block(documented)}`);
  }
  if (hidden.length > 0) parts.push('## Not exported, but part of the above\n');
  for (const { name, doc, documented } of hidden) {
    parts.push(`### ${name}\n\n${doc === '' ? '' : `${doc}\n\n`}${block(documented)}`);
  }
  return parts.join('\n');
}

function indexOf(pages) {
  const rows = pages.map(({ specifier, file, names }) => `| [\`${specifier}\`](${file}) | ${names} |`);
  const head =
    '# API reference\n\nWritten by `npm run api`: each public name, its doc comment and its declaration.';
  return `${head}\n\n| entry point | names |\n| --- | --- |\n${rows.join('\n')}\n`;
}

const keyOf = ({ name, module }) => `${name} ${module.path}`;

const files = new Map();
const pages = [];
const undocumented = [];
for (const { path, manifest } of await publishedPackages()) {
  const declarations = new Declarations();
  const entries = Object.entries(manifest.exports).filter(([, { types }]) => types);
  const found = entries.map(([entry, { types }]) => ({
    entry,
    exported: declarations.exportsOf(join(path, types)),
  }));
  const fileOf = (entry) => `${join(manifest.name, entry).split('/').slice(1).join('-')}.md`;
  const homes = new Map();
  for (const { entry, exported } of found) {
    for (const [name, each] of exported)
      homes.set(keyOf(each), homes.get(keyOf(each)) ?? anchorOf(name, fileOf(entry)));
  }
  for (const { entry, exported } of found) {
    const specifier = join(manifest.name, entry);
    for (const [name, { doc }] of exported) if (doc === '') undocumented.push(`${specifier}: ${name}`);
    const own = [...exported.values()];
    const hidden = declarations.referredToBy(own).filter((each) => !homes.has(keyOf(each)));
    const direct = declarations.referredToBy([...own, ...hidden], { directly: true });
    const elsewhere = direct.flatMap((each) => homes.get(keyOf(each)) ?? []);
    files.set(fileOf(entry), pageOf(specifier, exported, { hidden, elsewhere }));
    pages.push({ specifier, file: fileOf(entry), names: exported.size });
  }
}
files.set('README.md', indexOf(pages));
if (undocumented.length > 0) {
  console.error(`expected a doc comment above each public name, found none for\n${undocumented.join('\n')}`);
  process.exitCode = 1;
} else await writeOrCheck(join(root, 'docs/reference'), files);
