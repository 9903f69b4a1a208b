import type { Span } from '../text/sentences.js';

/** An indivisible piece of Markdown: a heading, a paragraph, a list item, a table row, code. */
export interface MarkdownBlock extends Span {
  readonly kind: 'heading' | 'text' | 'item' | 'row' | 'code';
  /** Closing fence of a code block. */
  readonly fence: string;
  /** Header of the table of a row. */
  readonly head: Span | undefined;
}

const FENCE = /^\s*(`{3,}|~{3,})(.*)$/;
const ITEM = /^\s*(?:[-*+]|\d+[.)])\s/;
const RULE_OF_TABLE = /^\s*\|?(?:\s*:?-{2,}:?\s*\|)+(?:\s*:?-{2,}:?)?\s*$/;

interface Line extends Span {
  readonly text: string;
}

/** Blocks of a passage, which may begin or end inside a code block. */
export function markdownBlocks(passage: string): MarkdownBlock[] {
  const lines = linesWithPlaces(passage);
  const blocks: MarkdownBlock[] = [];
  let at = 0;
  if (beginsInCode(lines)) {
    const closing = lines.findIndex(({ text }) => FENCE.test(text));
    at = closing + 1;
    if (closing > 0) blocks.push(block('code', lines, 0, closing, '```'));
  }
  while (at < lines.length) {
    const line = lines[at];
    const next = line === undefined || line.text.trim() === '' ? at + 1 : readBlock(lines, at, blocks);
    at = next;
  }
  return blocks;
}

function readBlock(lines: readonly Line[], at: number, blocks: MarkdownBlock[]): number {
  const text = lines[at]?.text ?? '';
  const fence = FENCE.exec(text)?.[1];
  if (fence !== undefined) {
    const closing = lines.findIndex((line, place) => place > at && line.text.trim() === fence);
    const next = closing < 0 ? lines.length : closing + 1;
    blocks.push(block('code', lines, at, next, fence));
    return next;
  }
  if (/^#{1,6}\s/.test(text)) {
    blocks.push(block('heading', lines, at, at + 1));
    return at + 1;
  }
  if (/^\s*(?:=+|-{3,})\s*$/.test(text)) return at + 1;
  if (RULE_OF_TABLE.test(lines[at + 1]?.text ?? '')) return readTable(lines, at, blocks);
  let next = at + 1;
  while (next < lines.length && !startsBlock(lines[next]?.text ?? '')) next += 1;
  const isUnderlined = /^\s*(?:=+|-{3,})\s*$/.test(lines[next]?.text ?? '');
  const kind = isUnderlined ? 'heading' : ITEM.test(text) ? 'item' : isCommentedCode(text) ? 'code' : 'text';
  blocks.push(block(kind, lines, at, next, ''));
  return next;
}

function readTable(lines: readonly Line[], at: number, blocks: MarkdownBlock[]): number {
  const head = { start: lines[at]?.start ?? 0, end: lines[at + 1]?.end ?? 0 };
  let next = at + 2;
  while (next < lines.length && (lines[next]?.text ?? '').includes('|')) {
    blocks.push({ ...block('row', lines, next, next + 1), head });
    next += 1;
  }
  return next;
}

function startsBlock(text: string): boolean {
  return (
    text.trim() === '' ||
    FENCE.test(text) ||
    ITEM.test(text) ||
    /^(?:#{1,6}\s|\s*(?:=+|-{3,})\s*$)/.test(text)
  );
}

function isCommentedCode(text: string): boolean {
  return /^(?: {4}|\t)/.test(text) && !ITEM.test(text);
}

/** A lone fence without a language closes a code block, unless it comes first. */
function beginsInCode(lines: readonly Line[]): boolean {
  const fences = lines.filter(({ text }) => FENCE.test(text));
  const [first] = fences;
  if (fences.length % 2 === 0 || first === undefined || first === lines[0]) return false;
  return (FENCE.exec(first.text)?.[2] ?? '').trim() === '';
}

function block(
  kind: MarkdownBlock['kind'],
  lines: readonly Line[],
  from: number,
  to: number,
  fence = '',
): MarkdownBlock {
  return { kind, fence, head: undefined, start: lines[from]?.start ?? 0, end: lines[to - 1]?.end ?? 0 };
}

function linesWithPlaces(text: string): Line[] {
  let start = 0;
  return text.split('\n').map((line) => {
    const place = { text: line, start, end: start + line.trimEnd().length };
    start += line.length + 1;
    return place;
  });
}
