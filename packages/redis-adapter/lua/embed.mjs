// Writes the scripts of this folder into a TypeScript module, so that a wrong name does not compile. A part
// that several scripts include is stored once, and put in when the adapter starts.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { checkScript } from './check.mjs';

const here = new URL('./', import.meta.url);
const target = new URL('../src/generated/', import.meta.url);

/** Only scripts that accept new data are refused when memory is short. Read scripts may not write. */
function flagsOf(text) {
  if (/^--@reads$/m.test(text)) return 'no-writes';
  return /^--@intake$/m.test(text) ? '' : 'allow-oom';
}

/** Code lines without comments, in stretches between the includes. */
function pieces(text) {
  const found = [];
  for (const line of text.split('\n')) {
    const include = /^--@include (.*)$/.exec(line);
    if (include) found.push(...include[1].split(' ').map((part) => ({ part })));
    else if (!/^\s*(?:--.*)?$/.test(line)) {
      const last = found.at(-1);
      if (last?.text === undefined) found.push({ text: `${line.trim()}\n` });
      else last.text += `${line.trim()}\n`;
    }
  }
  return found;
}

function modules(folder) {
  return readdirSync(new URL(folder, here))
    .filter((name) => name.endsWith('.lua'))
    .toSorted()
    .map((name) => [name.slice(0, -4), readFileSync(new URL(folder + name, here), 'utf8')]);
}

function partOf(script, name) {
  const text = texts.get(name);
  if (text === undefined) throw new Error(`${script}.lua: there is no lib/${name}.lua`);
  return text;
}

const camel = (name) => name.replaceAll(/_(\w)/g, (_, letter) => letter.toUpperCase());
const texts = new Map();
const parts = modules('lib/').map(([name, text]) => {
  const [only, ...more] = pieces(text);
  if (more.length > 0) throw new Error(`lib/${name}.lua: expected no includes`);
  texts.set(name, only.text);
  return `  ${camel(name)}: ${JSON.stringify(only.text)},`;
});
const scripts = modules('./').map(([name, text]) => {
  checkScript(
    name,
    pieces(text)
      .map(({ part, text: own }) => own ?? partOf(name, part))
      .join(''),
  );
  const body = pieces(text).map(({ part, text: own }) =>
    part ? `PARTS.${camel(part)}` : JSON.stringify(own),
  );
  return `  ${camel(name)}: ['#!lua flags=${flagsOf(text)}\\n', ${body.join(', ')}].join(''),`;
});
mkdirSync(target, { recursive: true });
writeFileSync(
  new URL('scripts.ts', target),
  `// Made by lua/embed.mjs.
const PARTS = {
${parts.join('\n')}
};

/** The Lua scripts, by name. \`$name\` stands for a limit. */
export const SCRIPTS = {
${scripts.join('\n')}
};
`,
);
