import { styleText } from 'node:util';

type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan';

export interface TerminalOptions {
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly stdout: NodeJS.WritableStream & { readonly isTTY?: boolean };
  readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean };
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
}

/** Where a command reads and writes: data goes to stdout, talk to stderr. */
export class Terminal {
  readonly stdin: TerminalOptions['stdin'];
  readonly stdout: TerminalOptions['stdout'];
  readonly stderr: TerminalOptions['stderr'];
  readonly env: TerminalOptions['env'];
  readonly cwd: string;
  /** Set by `--json`: data as JSON, one value a line, and no talk but errors. */
  json = false;

  constructor(options: TerminalOptions) {
    this.stdin = options.stdin;
    this.stdout = options.stdout;
    this.stderr = options.stderr;
    this.env = options.env;
    this.cwd = options.cwd;
  }

  /** Whether talk may be redrawn in place. */
  get redraws(): boolean {
    return this.stderr.isTTY === true && this.env['TERM'] !== 'dumb';
  }

  data(text: string): void {
    this.stdout.write(`${text}\n`);
  }

  record(value: unknown): void {
    this.data(JSON.stringify(value));
  }

  talk(text: string): void {
    if (!this.json) this.stderr.write(`${text}\n`);
  }

  error(text: string): void {
    this.stderr.write(`${this.paint('red', 'error:', this.stderr)} ${text}\n`);
  }

  /** Colours text if its stream is a terminal and `NO_COLOR` is not set. */
  paint(style: Style, text: string, stream: TerminalOptions['stdout'] = this.stdout): string {
    const noColor = this.env['NO_COLOR'];
    const coloured = stream.isTTY === true && (noColor === undefined || noColor === '');
    return coloured ? styleText(style, text, { validateStream: false }) : text;
  }

  /** Paints talk. */
  dim(text: string): string {
    return this.paint('dim', text, this.stderr);
  }
}
