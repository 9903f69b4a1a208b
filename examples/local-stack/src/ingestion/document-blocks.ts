import { cutText } from '@agent-orchestrator/core/protocol';
import type { Span } from '../text/sentences.js';

/** A coherent piece of a document: a paragraph, a list, a table, a code block. */
export interface Block extends Span {
  readonly kind: 'text' | 'code' | 'table';
}

/** Content under one heading. */
export interface Section {
  /** Headings above it, outermost first, without markup. */
  readonly path: readonly string[];
  readonly blocks: readonly Block[];
}

const HEADING = /^(#{1,6})[ \t]+(\S.*)$/;
/** `<details><summary>…</summary>` is a heading, below all others. */
const SUMMARY = /<summary[^>]*>(.*?)<\/summary>/i;
const FOLDED = 7;
/** Maximum of characters read of a heading. */
const MAX_TITLE = 300;
const FENCE = /^ {0,3}(`{3,}|~{3,})/;
/** A line of a table of contents: it has the words of the answer, but not the answer. */
const LINK_INTO_DOCUMENT = /^\s*(?:[-*+]|\d+\.)\s+\[[^\]]*\]\(#[^)]*\)\s*$/;
const UNDERLINE = /^(=+|-{2,})[ \t]*$/;

interface Line {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/**
 * Sections of a Markdown text, in order. Blocks are positions in `text`, with headings in their first block.
 */
export function markdownSections(text: string): Section[] {
  const reader = new SectionReader();
  const lines = linesWithPlaces(text);
  let at = 0;
  while (at < lines.length) at = reader.read(lines, at);
  return reader.finished();
}

/** Plain text: one section, with its paragraphs separated by blank lines. */
export function plainSections(text: string): Section[] {
  const blocks: Block[] = [];
  for (const match of text.matchAll(/\S(?:.|\n(?![ \t]*\n))*/g)) {
    const end = match.index + match[0].trimEnd().length;
    blocks.push({ kind: 'text', start: match.index, end });
  }
  return [{ path: [], blocks }];
}

class SectionReader {
  readonly #sections: Section[] = [];
  #path: { level: number; title: string }[] = [];
  #blocks: Block[] = [];
  /** Heading that belongs to the next block. */
  #heading: Span | undefined;

  /** Reads the block at line `at`; returns the line after it. */
  read(lines: readonly Line[], at: number): number {
    const line = lines[at];
    if (line === undefined || line.text.trim() === '') return at + 1;
    const heading = HEADING.exec(line.text);
    if (heading !== null) {
      this.#enter(heading[1]?.length ?? 1, heading[2] ?? '', line);
      return at + 1;
    }
    const summary = summaryIn(line.text);
    if (summary !== undefined) {
      this.#enter(FOLDED, summary, line);
      return at + 1;
    }
    if (line.text.trim() === '</details>') {
      this.#unfold();
      return at + 1;
    }
    const underline = UNDERLINE.exec(lines[at + 1]?.text ?? '');
    if (underline !== null && !/^\s*[|>*+-]/.test(line.text)) {
      this.#enter(underline[1]?.startsWith('=') === true ? 1 : 2, line.text.trim(), line);
      return at + 2;
    }
    return this.#readBlock(lines, at, line);
  }

  finished(): Section[] {
    this.#close(false);
    return this.#sections;
  }

  #readBlock(lines: readonly Line[], at: number, first: Line): number {
    const fence = FENCE.exec(first.text)?.[1];
    const next = fence === undefined ? endOfParagraph(lines, at) : endOfFence(lines, at, fence);
    if (lines.slice(at, next).every(({ text }) => LINK_INTO_DOCUMENT.test(text))) return next;
    const isTable =
      fence === undefined && /^\s*\|?.*\|/.test(first.text) && /^[\s|:-]+$/.test(lines[at + 1]?.text ?? '');
    const start = this.#heading?.start ?? first.start;
    this.#heading = undefined;
    const kind = fence === undefined ? (isTable ? 'table' : 'text') : 'code';
    this.#blocks.push({ kind, start, end: lines[next - 1]?.end ?? first.end });
    return next;
  }

  #enter(level: number, title: string, line: Line): void {
    const isBelow = level > (this.#path.at(-1)?.level ?? 0);
    this.#close(isBelow);
    this.#path = [...this.#path.filter((above) => above.level < level), { level, title: plainTitle(title) }];
    this.#heading = { start: line.start, end: line.end };
  }

  #unfold(): void {
    this.#close(false);
    this.#path = this.#path.filter(({ level }) => level < FOLDED);
  }

  /** A heading without content is the content of its section. */
  #close(hasParts: boolean): void {
    if (this.#heading !== undefined && !hasParts) this.#blocks.push({ kind: 'text', ...this.#heading });
    this.#heading = undefined;
    if (this.#blocks.length > 0) {
      this.#sections.push({ path: this.#path.map(({ title }) => title), blocks: this.#blocks });
    }
    this.#blocks = [];
  }
}

function summaryIn(line: string): string | undefined {
  const text = SUMMARY.exec(cutText(line, MAX_TITLE))?.[1]
    ?.replaceAll(/<[^>]+>/g, '')
    .trim();
  return text === '' ? undefined : text;
}

function endOfFence(lines: readonly Line[], at: number, fence: string): number {
  const closing = new RegExp(`^\\s*${fence[0] === '~' ? '~' : '`'}{${fence.length},}\\s*$`);
  for (let next = at + 1; next < lines.length; next += 1) {
    if (closing.test(lines[next]?.text ?? '')) return next + 1;
  }
  return lines.length;
}

function endOfParagraph(lines: readonly Line[], at: number): number {
  let next = at + 1;
  while (next < lines.length) {
    const text = lines[next]?.text ?? '';
    if (text.trim() === '' || HEADING.test(text) || FENCE.test(text) || summaryIn(text) !== undefined) break;
    next += 1;
  }
  return next;
}

function linesWithPlaces(text: string): Line[] {
  const lines: Line[] = [];
  let start = 0;
  for (const line of text.split('\n')) {
    lines.push({ text: line, start, end: start + line.trimEnd().length });
    start += line.length + 1;
  }
  return lines;
}

/** Heading text without links, tags and code marks. */
function plainTitle(title: string): string {
  return cutText(title, MAX_TITLE)
    .replace(/[ \t]#+[ \t]*$/, '')
    .replaceAll(/!?\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replaceAll(/!?\[((?:[^[\]]|\[[^\]]*\])*)\]\[[^\]]*\]/g, '$1')
    .replaceAll(/!\[[^\]]*\]\[[^\]]*\]|<[^>]+>/g, '')
    .replaceAll(/[`*]/g, '')
    .replaceAll(/\s+/g, ' ')
    .trim();
}
