// Refuses words that are not the field's. A reader who knows Temporal, Redis or River should not need a glossary, and a
// process is "it". Words inside of identifiers count too: `dutiesDone`, `sayHe`.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** By word: what to write instead. */
const WORDS = new Map(
  Object.entries({
    bell: 'wakeup',
    bells: 'wakeups',
    rung: 'published',
    owe: 'schedule',
    owes: 'schedules',
    owed: 'scheduled',
    duty: 'timer',
    duties: 'timers',
    untold: 'pending effects',
    unborn: 'the start cursor',
    whoever: 'the caller, the client, the worker, …',
    nobody: 'no client, no worker, …',
    somebody: 'a client, another process, …',
    he: 'it',
    him: 'it',
    his: 'its',
    himself: 'itself',
    standing: 'stats',
    'in vain': 'without effect',
  }),
);

/** Not prose of the project: word lists of the local stack, its sample data, and files that are generated. */
const EXEMPT = [
  /^CHANGELOG\.md$/,
  /^packaging\/check-words\.mjs$/,
  /(?:^|\/)package-lock\.json$/,
  /^examples\/local-stack\/src\/(?:text|query)\//,
  /^examples\/local-stack\/(?:evaluation|questions)/,
];
const READ = /\.(?:ts|mts|cts|mjs|cjs|js|lua|md|json|yaml|yml|py|sh)$|(?:^|\/)Dockerfile$|^\.ci\/run$/;

const files = execFileSync('git', ['ls-files', '-z'], { encoding: 'utf8' }).split('\0');
const found = [];
for (const file of files) {
  if (!READ.test(file) || EXEMPT.some((pattern) => pattern.test(file))) continue;
  readFileSync(file, 'utf8')
    .split('\n')
    .forEach((line, at) => {
      for (const word of wordsIn(line)) {
        const instead = WORDS.get(word);
        if (instead !== undefined) found.push(`${file}:${at + 1}: "${word}": write ${instead}`);
      }
    });
}
if (found.length > 0) {
  console.error(`expected the field's words, got\n${found.join('\n')}\n${found.length} in all`);
  process.exitCode = 1;
}

/** The words of a line, in lower case: those of prose, those inside of identifiers, and pairs of prose. */
function wordsIn(line) {
  const words = line
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z]+/);
  return [...words, ...words.slice(1).map((word, at) => `${words[at]} ${word}`)];
}
