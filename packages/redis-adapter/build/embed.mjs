// Writes the Lua scripts into a TypeScript module, so that a wrong name does not compile: `npm run build` runs it after
// core, whose tables it reads. Each statement is stored once, however many scripts have it.
import { mkdirSync, writeFileSync } from 'node:fs';
import { DEFAULTS } from '@agent-orchestrator/core/protocol';
import { checkScript, refuseUnknownNumbers } from './check.mjs';
import { composeScripts } from './compose.mjs';
import { luaFiles } from './lua-files.mjs';
import { EVENT_LETTERS, RULES_FILE } from './rules.mjs';

const files = luaFiles();
const scripts = composeScripts(files).toSorted((a, b) => (a.name < b.name ? -1 : 1));
const settings = [...Object.keys(DEFAULTS), 'database'];
const statements = new Map();
const lines = scripts.map(({ name, file, flags, statements: own }) => {
  const path = file.replace(/\.lua$/, '');
  checkScript(path, own.join(''));
  refuseUnknownNumbers(path, own.join(''), settings);
  for (const text of own) if (!statements.has(text)) statements.set(text, statements.size);
  return `  ${name}: script('${flags}', [${own.map((text) => statements.get(text)).join(', ')}]),`;
});

write(RULES_FILE, files.get(RULES_FILE));
write(
  'generated/event-letters.ts',
  `// Written by build/embed.mjs.
import type { EventName } from '@agent-orchestrator/core/protocol';

/** Names of events by their letters in the log. */
export const EVENT_OF_LETTER: Readonly<Record<string, EventName>> = ${JSON.stringify(EVENT_LETTERS)};
`,
);
write(
  'generated/scripts.ts',
  `// Written by build/embed.mjs.
const STATEMENTS: readonly string[] = [
${[...statements.keys()].map((text) => `  ${JSON.stringify(text)},`).join('\n')}
];

function script(flags: string, statements: readonly number[]): string {
  return \`#!lua flags=\${flags}\\n\${statements.map((at) => STATEMENTS[at]).join('')}\`;
}

/** The Lua scripts, by name. \`$name\` stands for a number that is known when the storage is opened. */
export const SCRIPTS = {
${lines.join('\n')}
};
`,
);

function write(path, text) {
  const target = new URL(`../src/${path}`, import.meta.url);
  mkdirSync(new URL('./', target), { recursive: true });
  writeFileSync(target, text);
}
