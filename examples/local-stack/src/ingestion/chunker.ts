import { cutPosition } from '@agent-orchestrator/core/protocol';
import { linesOf, sentencesOf, type Span } from '../text/sentences.js';
import { type Block, markdownSections, plainSections, type Section } from './document-blocks.js';
import { htmlToMarkdown } from './html-text.js';
import type { MediaType } from './media-type.js';

/** Unit of search, embedding and citation: a literal part of the document, at most `MAX_CODE` characters. */
export interface Chunk {
  /** Index in the document, from 0. */
  readonly position: number;
  /** Headings above it, outermost first. */
  readonly heading: readonly string[];
  readonly text: string;
}

/** Target size of a chunk, characters. */
const MAX_CHUNK = 800;
/** Maximum size of a code block or table in one chunk. */
const MAX_CODE = 1_600;
/** A longer line is not prose: it is cut anywhere, since splitting it into sentences takes long. */
const MAX_LINE = 20_000;
/** Maximum overlap of consecutive chunks of a section. */
const MAX_OVERLAP = 200;

/** Cuts a document at its headings, then at paragraphs, then at lines or sentences. */
export function chunksOf(content: string, mediaType: MediaType): Chunk[] {
  const unified = content.replace(/^\uFEFF/, '').replaceAll('\r\n', '\n');
  // HTML may contain half of a surrogate pair as a numeric reference.
  const text = (mediaType === 'text/html' ? htmlToMarkdown(unified) : unified).toWellFormed();
  const sections = mediaType === 'text/plain' ? plainSections(text) : markdownSections(text);
  const chunks: Chunk[] = [];
  for (const section of sections) {
    for (const { start, end } of chunkSpans(section, text)) {
      chunks.push({ position: chunks.length, heading: section.path, text: text.slice(start, end) });
    }
  }
  return chunks;
}

function chunkSpans(section: Section, text: string): Span[] {
  const spans: Span[] = [];
  let current: Span | undefined;
  let last: Block | undefined;
  for (const block of section.blocks.flatMap((block) => splitBlock(block, text))) {
    const before: Block | undefined = last;
    last = block;
    if (current !== undefined && block.end - current.start <= MAX_CHUNK) {
      current = { start: current.start, end: block.end };
      continue;
    }
    if (current !== undefined) spans.push(current);
    const isWholeCode = block.kind !== 'text' && block.end - block.start > MAX_CHUNK / 2;
    const hasOverlap = current !== undefined && before?.kind === 'text' && !isWholeCode;
    const start: number = hasOverlap && current !== undefined ? overlapStart(current, text) : block.start;
    current = { start: block.end - start <= MAX_CODE ? start : block.start, end: block.end };
  }
  if (current !== undefined) spans.push(current);
  return spans;
}

/** Start of the last sentence or line of a chunk, if short enough to be repeated. */
function overlapStart(chunk: Span, text: string): number {
  const inside = text.slice(chunk.start, chunk.end);
  const line = linesOf(inside, chunk.start).at(-1);
  const last = line && sentencesOf(text.slice(line.start, line.end), line.start).at(-1);
  return last !== undefined && chunk.end - last.start <= MAX_OVERLAP ? last.start : chunk.end;
}

/** Splits a block into parts that fit: at lines, then sentences, then anywhere. */
function splitBlock(block: Block, text: string): Block[] {
  const limit = block.kind === 'text' ? MAX_CHUNK : MAX_CODE;
  if (block.end - block.start <= limit) return [block];
  const inside = text.slice(block.start, block.end);
  const parts: Block[] = [];
  let current: Span | undefined;
  for (const piece of linesOf(inside, block.start).flatMap((line) => piecesOf(line, text))) {
    if (current !== undefined && piece.end - current.start > MAX_CHUNK) {
      parts.push({ ...current, kind: block.kind });
      current = undefined;
    }
    current = { start: current?.start ?? piece.start, end: piece.end };
  }
  if (current !== undefined) parts.push({ ...current, kind: block.kind });
  return parts;
}

function piecesOf(line: Span, text: string): Span[] {
  if (line.end - line.start <= MAX_CHUNK) return [line];
  const sentences =
    line.end - line.start > MAX_LINE ? [line] : sentencesOf(text.slice(line.start, line.end), line.start);
  return sentences.flatMap((sentence) => {
    const pieces: Span[] = [];
    for (let start = sentence.start; start < sentence.end;) {
      const end = cutPosition(text, Math.min(sentence.end, start + MAX_CHUNK));
      pieces.push({ start, end });
      start = end;
    }
    return pieces;
  });
}
