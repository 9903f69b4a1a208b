import { sentencesOf, type Span } from '../text/sentences.js';
import { termsOf } from '../text/words.js';
import { type MarkdownBlock, markdownBlocks } from './markdown-blocks.js';

/** Lines that contain only an image, a badge or a tag. */
const DECORATION = /^\s*(?:<[^>]*>\s*|!?\[!?\[[^\]]*\]\([^)]*\)\]\([^)]*\)\s*|!\[[^\]]*\]\([^)]*\)\s*)+$/gm;

/** Of more list items or table rows than this, only the matching ones are shown. */
const MAX_ROWS = 3;
const NONE: ReadonlySet<string> = new Set();

/**
 * Extract of a passage: the whole paragraph, list items, table rows or code around `core`, and what they
 * introduce (`as follows:`), about `limit` characters at most. Valid Markdown on its own: every fence is
 * closed.
 *
 * @param words matching terms, to choose among many items or rows.
 */
export function extractOf(passage: string, core: Span, limit: number, words = NONE): string {
  const blocks = markdownBlocks(passage);
  const parts = groups(chosenBlocks(passage, blocks, core, limit)).map((group) =>
    render(passage, fewOf(group, passage, words), core, limit),
  );
  return parts.filter((text) => text !== '').join('\n\n') || passage.slice(core.start, core.end);
}

function fewOf(group: MarkdownBlock[], passage: string, words: ReadonlySet<string>): MarkdownBlock[] {
  if (group.length <= MAX_ROWS || words.size === 0) return group;
  const counts = group.map(({ start, end }) => {
    const inside = new Set(termsOf(passage.slice(start, end)));
    return [...words].filter((word) => inside.has(word)).length;
  });
  const most = Math.max(...counts);
  return most === 0 ? group : group.filter((_block, at) => (counts[at] ?? 0) > most / 2);
}

/** Blocks that overlap the core and, while they fit, those that complete them. */
function chosenBlocks(
  passage: string,
  blocks: readonly MarkdownBlock[],
  core: Span,
  limit: number,
): MarkdownBlock[] {
  const inside = blocks.filter(({ start, end }) => start < core.end && end > core.start);
  const chosen = inside.filter(({ kind }) => kind !== 'heading');
  let length = lengthOf(chosen);
  let at = blocks.indexOf((inside.at(-1) ?? blocks[0]) as MarkdownBlock) + 1;
  while (at > 0 && at < blocks.length) {
    const [last, next] = [chosen.at(-1), blocks[at]];
    if (next === undefined || (next.kind === 'heading' && chosen.length > 0)) break;
    const leadsOn =
      last === undefined ||
      passage.slice(last.start, last.end).trimEnd().endsWith(':') ||
      (last.kind !== 'code' && next.kind === 'code' && length < limit / 2);
    if (!leadsOn || (chosen.length > 0 && length + next.end - next.start > limit)) break;
    if (next.kind !== 'heading') chosen.push(next);
    length = lengthOf(chosen);
    at += 1;
  }
  return chosen;
}

function lengthOf(blocks: readonly Span[]): number {
  return blocks.reduce((sum, { start, end }) => sum + end - start, 0);
}

/** Groups items of a list and rows of a table. */
function groups(blocks: readonly MarkdownBlock[]): MarkdownBlock[][] {
  const found: MarkdownBlock[][] = [];
  for (const one of blocks) {
    const last = found.at(-1);
    const goesOn = last?.[0]?.kind === one.kind && (one.kind === 'item' || one.kind === 'row');
    if (goesOn) last?.push(one);
    else found.push([one]);
  }
  return found;
}

function render(passage: string, group: readonly MarkdownBlock[], core: Span, limit: number): string {
  const [first] = group;
  if (first === undefined) return '';
  const whole = group.map(({ start, end }) => passage.slice(start, end)).join('\n');
  if (first.kind === 'code') return codeText(passage, first, core, limit);
  if (first.kind === 'row') {
    const head = first.head === undefined ? [] : [passage.slice(first.head.start, first.head.end)];
    return [...head, whole].join('\n');
  }
  if (first.kind === 'item') return dedented(whole).replaceAll(DECORATION, '').trim();
  const text = whole.length <= limit ? whole : sentencesAround(passage, first, core);
  return text
    .replaceAll(DECORATION, '')
    .replaceAll(/\n{2,}/g, '\n')
    .trim();
}

/** The whole block if short, else its lines around the core, in a fence of their own. */
function codeText(passage: string, code: MarkdownBlock, core: Span, limit: number): string {
  const written = passage.slice(code.start, code.end);
  const lines = written.split('\n');
  const hasOpening = code.fence !== '' && (lines[0] ?? '').trim().startsWith(code.fence);
  const opening = hasOpening ? (lines.shift() ?? '').trim() : '```';
  const closing = code.fence === '' ? '```' : code.fence;
  if (hasOpening && (lines.at(-1) ?? '').trim() === closing) lines.pop();
  let shown = lines;
  if (written.length > limit) {
    const from = Math.max(code.start, core.start) - code.start;
    const to = Math.min(code.end, core.end) - code.start;
    const firstLine = written.slice(0, from).split('\n').length - 1 - (hasOpening ? 1 : 0);
    const lastLine = written.slice(0, to).split('\n').length - (hasOpening ? 1 : 0);
    shown = lines.slice(Math.max(0, firstLine - 1), Math.max(lastLine + 1, firstLine + 6));
  }
  const body = dedented(shown.join('\n')).replace(/^\n+|\s+$/g, '');
  return body === '' ? '' : `${opening}\n${body}\n${closing}`;
}

function sentencesAround(passage: string, { start, end }: Span, core: Span): string {
  const inside = sentencesOf(passage.slice(start, end), start).filter(
    (sentence) => sentence.start < core.end && sentence.end > core.start,
  );
  return passage.slice(inside[0]?.start ?? start, inside.at(-1)?.end ?? end);
}

function dedented(text: string): string {
  const lines = text.split('\n');
  const indents = lines
    .filter((line) => line.trim() !== '')
    .map((line) => /^\s*/.exec(line)?.[0].length ?? 0);
  const common = Math.min(...indents, 80);
  return lines.map((line) => line.slice(Math.min(common, line.length - line.trimStart().length))).join('\n');
}
