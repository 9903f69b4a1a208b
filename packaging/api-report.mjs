// Writes `api/<package>.md`: what each entry point exports, so that a change of it shows in review. `npm run api`
// writes, `npm run check:api` fails where a report is not what the build exports.
import { join } from 'node:path';
import { Declarations } from './declarations.mjs';
import { writeOrCheck } from './generated-folder.mjs';
import { publishedPackages, root } from './packages.mjs';

const folder = join(root, 'api');

/** @returns {string | undefined} The report of a package; none for one without an entry point. */
function reportOf({ path, manifest }) {
  const entries = Object.entries(manifest.exports).filter(([, { types }]) => types);
  if (entries.length === 0) return undefined;
  const declarations = new Declarations();
  const parts = [`# ${manifest.name}\n\nWritten by \`npm run api\`.\n`];
  const all = [];
  for (const [entry, { types }] of entries) {
    const exported = declarations.exportsOf(join(path, types));
    all.push(...exported.values());
    parts.push(`## \`${join(manifest.name, entry)}\`: ${exported.size} names\n`);
    for (const [name, { name: declared, text }] of exported) {
      const alias = declared === name || text.startsWith('export {') ? '' : `// ${declared} as ${name}\n`;
      parts.push(`### ${name}\n\n\`\`\`ts\n${alias}${text}\n\`\`\`\n`);
    }
  }
  const hidden = declarations.referredToBy(all);
  if (hidden.length > 0) parts.push(`## Not exported, but part of what is: ${hidden.length} names\n`);
  for (const { name, text } of hidden) parts.push(`### ${name}\n\n\`\`\`ts\n${text}\n\`\`\`\n`);
  return parts.join('\n');
}

const reports = new Map();
for (const found of await publishedPackages()) {
  const report = reportOf(found);
  if (report !== undefined) reports.set(`${found.manifest.name.split('/').at(-1)}.md`, report);
}
await writeOrCheck(folder, reports);
