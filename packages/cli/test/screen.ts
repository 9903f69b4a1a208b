import { Writable } from 'node:stream';

interface Row {
  cells: string;
  /** The text goes on in the next row. */
  goesOn: boolean;
}

const ESCAPE = '\u001B';
const PART = new RegExp(`${ESCAPE}\\[(\\d*)([A-Za-z])|[\\s\\S]`, 'g');

/**
 * A terminal's screen, whose columns may change. `folds`: a line that no longer fits is folded anew, as in most terminals
 * of today; the others cut what is beyond the edge.
 */
export class Screen extends Writable {
  readonly isTTY = true;
  columns: number;
  #rows: Row[] = [{ cells: '', goesOn: false }];
  #row = 0;
  #column = 0;
  readonly #folds: boolean;
  readonly #watchers = new Set<() => void>();

  constructor({ columns, folds }: { readonly columns: number; readonly folds: boolean }) {
    super({ decodeStrings: false });
    this.columns = columns;
    this.#folds = folds;
  }

  /** What can be read, a line each, however it is folded. */
  get lines(): string[] {
    const lines = [''];
    for (const { cells, goesOn } of this.#rows) {
      lines[lines.length - 1] += cells;
      if (!goesOn) lines.push('');
    }
    return lines.map((line) => line.trimEnd()).filter((line) => line !== '');
  }

  /** Resolves when the screen has something that fits. */
  shows(pattern: RegExp): Promise<void> {
    return new Promise((resolve) => {
      const watcher = () => {
        if (!pattern.test(this.lines.join('\n'))) return;
        this.#watchers.delete(watcher);
        resolve();
      };
      this.#watchers.add(watcher);
      watcher();
    });
  }

  resize(columns: number): void {
    if (this.#folds) this.#fold(columns);
    else {
      for (const row of this.#rows) row.cells = row.cells.slice(0, columns);
      this.#column = Math.min(this.#column, columns - 1);
    }
    this.columns = columns;
    this.emit('resize');
  }

  override _write(chunk: string | Buffer, _encoding: string, done: () => void): void {
    for (const [part, count, command] of String(chunk).matchAll(PART)) {
      if (command !== undefined) this.#obey(command, count === '' ? undefined : Number(count));
      else if (part === '\r') this.#column = 0;
      else if (part === '\n') this.#feed(false);
      else this.#put(part);
    }
    for (const watcher of this.#watchers) watcher();
    done();
  }

  get #current(): Row {
    const row = this.#rows[this.#row];
    if (!row) throw new Error(`expected a row ${this.#row}, got ${this.#rows.length} rows`);
    return row;
  }

  #obey(command: string, count: number | undefined): void {
    const by = count ?? 1;
    if (command === 'A') this.#row = Math.max(0, this.#row - by);
    else if (command === 'B') this.#row = Math.min(this.#rows.length - 1, this.#row + by);
    else if (command === 'C') this.#column = Math.min(this.columns - 1, this.#column + by);
    else if (command === 'D') this.#column = Math.max(0, this.#column - by);
    else if (command === 'G') this.#column = by - 1;
    else if (command === 'K' || command === 'J') this.#erase(command === 'J');
    else if (command !== 'm') throw new Error(`expected a known sequence, got ${command}`);
  }

  #erase(below: boolean): void {
    const row = this.#current;
    row.cells = row.cells.slice(0, this.#column);
    row.goesOn = false;
    if (below) this.#rows.length = this.#row + 1;
  }

  #put(character: string): void {
    if (this.#column >= this.columns) this.#feed(true);
    const row = this.#current;
    const before = row.cells.padEnd(this.#column).slice(0, this.#column);
    row.cells = before + character + row.cells.slice(this.#column + 1);
    this.#column += 1;
  }

  #feed(goesOn: boolean): void {
    if (goesOn) this.#current.goesOn = true;
    this.#row += 1;
    this.#column = 0;
    if (this.#row === this.#rows.length) this.#rows.push({ cells: '', goesOn: false });
  }

  #fold(columns: number): void {
    const rows: Row[] = [];
    const cursorRow = this.#row;
    let text = '';
    let cursorAt: number | undefined;
    for (const [index, { cells, goesOn }] of this.#rows.entries()) {
      if (index === cursorRow) cursorAt = text.length + this.#column;
      text += cells;
      if (goesOn) continue;
      const first = rows.length;
      for (let at = 0; at === 0 || at < text.length; at += columns) {
        rows.push({ cells: text.slice(at, at + columns), goesOn: at + columns < text.length });
      }
      if (cursorAt !== undefined) {
        this.#row = Math.min(rows.length - 1, first + Math.floor(cursorAt / columns));
        this.#column = cursorAt - (this.#row - first) * columns;
      }
      cursorAt = undefined;
      text = '';
    }
    this.#rows = rows;
  }
}
