import { styleText } from 'node:util';

type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan';

export interface TerminalOptions {
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly stdout: NodeJS.WritableStream & { readonly isTTY?: boolean };
  readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
}

/** Characters that change the direction of text, or break a line unexpectedly. */
const DIRECTIONS = '\\u061C\\u200E\\u200F\\u2028-\\u202E\\u2066-\\u2069';
const OBEYED = new RegExp(`[\\u0000-\\u0008\\u000B-\\u001F\\u007F-\\u009F${DIRECTIONS}]`, 'g');
/** JSON escapes only the first 32 control characters. */
const LEFT_BY_JSON = new RegExp(`[\\u007F-\\u009F${DIRECTIONS}]`, 'g');

/**
 * Foreign text without terminal control characters: a document or a message must not move the cursor, change
 * colours, or reorder words. Line breaks and tabs stay.
 */
export function printable(text: string): string {
  return text.replaceAll(OBEYED, '');
}

/** The same on one line, for a table cell or a line-based list. */
export function inOneLine(text: string): string {
  return text.replaceAll(/[\r\n\t\v\f\u0085\u2028\u2029]+/g, ' ').replaceAll(OBEYED, '');
}

/** JSON with all terminal control characters escaped: the same value. */
export function shownJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replaceAll(
    LEFT_BY_JSON,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Input and output of a command: data goes to stdout, messages to stderr. */
export class Terminal {
  readonly stdin: TerminalOptions['stdin'];
  readonly stdout: TerminalOptions['stdout'];
  readonly stderr: TerminalOptions['stderr'];
  readonly env: TerminalOptions['env'];
  readonly cwd: string;
  /** Set by `--json`: data as one JSON value per line, and no messages but errors. */
  json = false;

  constructor(options: TerminalOptions) {
    this.stdin = options.stdin;
    this.stdout = options.stdout;
    this.stderr = options.stderr;
    this.env = options.env;
    this.cwd = options.cwd;
  }

  /** Whether messages may be redrawn in place. */
  get redraws(): boolean {
    return this.stderr.isTTY === true && this.env['TERM'] !== 'dumb';
  }

  /** Whether the input is a terminal. */
  get isTyped(): boolean {
    return this.stdin.isTTY === true;
  }

  /** Whether data and messages appear on the same terminal. */
  get isOneScreen(): boolean {
    return this.stdout.isTTY === true && this.stderr.isTTY === true;
  }

  /** Line width in characters. */
  get columns(): number {
    return this.stderr.columns ?? 80;
  }

  data(text: string): void {
    this.stdout.write(`${text}\n`);
  }

  record(value: unknown): void {
    this.data(shownJson(value));
  }

  /** One value, for people over several lines. */
  document(value: unknown): void {
    this.data(shownJson(value, this.json ? undefined : 2));
  }

  talk(text: string): void {
    if (!this.json) this.stderr.write(`${text}\n`);
  }

  /** An error, printed with `--json` too. */
  error(text: string): void {
    this.stderr.write(`${this.paint('red', 'error:', this.stderr)} ${printable(text)}\n`);
  }

  /** A warning, printed with `--json` too. */
  warning(text: string): void {
    this.stderr.write(`${this.paint('yellow', 'warning:', this.stderr)} ${printable(text)}\n`);
  }

  /** Final error of the command: a line for people, `{"error": {"code", "message"}}` for programs. */
  failure(code: string, message: string): void {
    if (this.json) this.stderr.write(`${shownJson({ error: { code, message } })}\n`);
    else this.error(message);
  }

  /** Coloured text if its stream is a terminal and `NO_COLOR` is not set. */
  paint(style: Style, text: string, stream: TerminalOptions['stdout'] = this.stdout): string {
    const noColor = this.env['NO_COLOR'];
    const coloured = stream.isTTY === true && (noColor === undefined || noColor === '');
    return coloured ? styleText(style, text, { validateStream: false }) : text;
  }

  /** Dims a message. */
  dim(text: string): string {
    return this.paint('dim', text, this.stderr);
  }
}
