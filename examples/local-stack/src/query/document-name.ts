import { isCommonWord } from '../text/common-words.js';
import { fold } from '../text/words.js';
import { isThesaurusWord } from './thesaurus.js';

/** Uninformative file names: the folder's name is used. */
const NAMELESS = new Set(['readme', 'index', 'main', 'default']);
const PACKAGE_FOLDERS = new Set(['node_modules', 'packages']);

/**
 * Names of a document: its file name, the folder of a README, and its package.
 * `node_modules/undici/docs/api/Client.md` → `undici`, `client`; `node_modules/ws/README.md` → `ws`.
 */
export function namesOf(documentName: string): Set<string> {
  const segments = documentName.split(/[\\/]/).filter((segment) => segment !== '');
  const file = fold((segments.pop() ?? '').replace(/(?<=.)\.[^.]+$/, ''));
  const names = new Set<string>();
  if (!NAMELESS.has(file)) names.add(file);
  else if (segments.length > 0) names.add(fold(segments.at(-1) ?? ''));
  segments.forEach((segment, at) => {
    const isScoped = segments[at + 1]?.startsWith('@') === true;
    const owner = segments[isScoped ? at + 2 : at + 1];
    if (PACKAGE_FOLDERS.has(segment) && owner !== undefined) names.add(fold(owner));
  });
  return names;
}

/**
 * Whether a name is distinctive: neither an everyday word nor common in documentation, so that a mention
 * refers to the document.
 */
export function isDistinctive(name: string): boolean {
  return [name, name.replace(/s$/, '')].every((word) => !isCommonWord(word) && !isThesaurusWord(word));
}
