import { OrchestratorError } from '@agent-orchestrator/core';
import { Parser } from 'htmlparser2';

const INVISIBLE = new Set([
  'script',
  'style',
  'template',
  'noscript',
  'nav',
  'svg',
  'iframe',
  'head',
  'form',
  'button',
]);
const PARAGRAPHS = new Set(
  'p div section article header footer main aside ul ol dl table blockquote figure h1 h2 h3 h4 h5 h6 pre'.split(
    ' ',
  ),
);
const LINES = new Set('br li tr dt dd figcaption'.split(' '));

/** Maximum nesting. The parser takes quadratic time for ever deeper nesting. */
const MAX_DEPTH = 1_000;
const TOO_DEEP = `content: expected HTML that is nested at most ${MAX_DEPTH} elements deep`;

/**
 * Readable text of an HTML page as Markdown: headings, lists, tables, code blocks.
 *
 * @throws {OrchestratorError} `invalid_request` for too deep nesting.
 */
export function htmlToMarkdown(html: string): string {
  const writer = new MarkdownWriter();
  let depth = 0;
  const parser = new Parser(
    {
      onopentag(name) {
        depth += 1;
        if (depth > MAX_DEPTH) throw new OrchestratorError('invalid_request', TOO_DEEP);
        writer.open(name);
      },
      ontext: (text) => writer.text(text),
      onclosetag(name) {
        depth -= 1;
        writer.close(name);
      },
    },
    { decodeEntities: true },
  );
  parser.end(html);
  return writer.finished();
}

class MarkdownWriter {
  readonly #parts: string[] = [];
  /** Line breaks before the next text. */
  #breaks = 0;
  #endsInSpace = true;
  #invisible = 0;
  #inCode = 0;

  open(name: string): void {
    if (INVISIBLE.has(name)) this.#invisible += 1;
    if (this.#invisible > 0) return;
    this.#breakAround(name);
    if (name === 'td' || name === 'th') this.#write(this.#breaks > 0 ? '| ' : ' | ');
    if (name === 'li') this.#write('- ');
    const level = /^h([1-6])$/.exec(name)?.[1];
    if (level !== undefined) this.#write(`${'#'.repeat(Number(level))} `);
    if (name !== 'pre') return;
    this.#write('```\n');
    this.#inCode += 1;
  }

  text(text: string): void {
    if (this.#invisible > 0) return;
    const flowing = this.#inCode > 0 ? text : text.replaceAll(/\s+/g, ' ');
    const isAtStart = this.#inCode === 0 && (this.#breaks > 0 || this.#endsInSpace);
    this.#write(isAtStart ? flowing.trimStart() : flowing);
  }

  close(name: string): void {
    if (INVISIBLE.has(name)) this.#invisible = Math.max(0, this.#invisible - 1);
    if (this.#invisible > 0) return;
    if (name === 'pre' && this.#inCode > 0) {
      this.#inCode -= 1;
      this.#breaks = this.#parts.at(-1)?.endsWith('\n') === true ? 0 : 1;
      this.#write('```');
    }
    this.#breakAround(name);
  }

  finished(): string {
    const lines = this.#parts.join('').split('\n');
    return lines
      .map((line) => line.trimEnd())
      .join('\n')
      .trim();
  }

  #breakAround(name: string): void {
    if (PARAGRAPHS.has(name)) this.#breaks = Math.max(this.#breaks, 2);
    if (LINES.has(name)) this.#breaks = Math.max(this.#breaks, 1);
  }

  #write(text: string): void {
    if (text === '') return;
    if (this.#parts.length > 0) this.#parts.push('\n'.repeat(this.#breaks));
    this.#breaks = 0;
    this.#parts.push(text);
    this.#endsInSpace = /\s$/.test(text.slice(-1));
  }
}
