import { Writable } from 'node:stream';

export type Screen = NodeJS.WritableStream & { readonly columns?: number };

/** The parts of `readline` that redraw its line. */
export interface LineEditor {
  getCursorPos(): { readonly rows: number };
  prompt(preserveCursor?: boolean): void;
}

/**
 * Output of a `readline` interface. The interface erases from the row where it believes its line begins to
 * the end of the screen, at each resize and at many keys. So that it erases nothing but its own line, it is
 *
 * - hidden while an answer is printed: nothing that it draws is written, and its line takes one row of any
 * width;
 * - shown at the prompt: after a resize its rows are computed from the current columns. Some terminals rewrap
 * a line, some cut it; the smaller number of rows is right for both, or leaves one row too many.
 */
export class PromptOutput extends Writable {
  #isShown = true;
  #columns: number | undefined;
  readonly #screen: Screen;
  #editor: LineEditor | undefined;
  readonly #onResize = () => this.#resized();

  constructor(screen: Screen) {
    super({ decodeStrings: false });
    this.#screen = screen;
    this.#columns = screen.columns;
    screen.on('resize', this.#onResize);
  }

  get isShown(): boolean {
    return this.#isShown;
  }

  /** Read by `readline` at each redraw; `undefined` disables wrapping. */
  get columns(): number | undefined {
    return this.#isShown ? this.#columns : undefined;
  }

  /** Sets the editor that draws here. */
  attach(editor: LineEditor): void {
    this.#editor = editor;
  }

  hide(): void {
    this.#isShown = false;
  }

  /** Draws the prompt with pending input in a row of its own. */
  show(): void {
    this.#forgetRows();
    this.#columns = this.#screen.columns;
    this.#isShown = true;
    this.#editor?.prompt(true);
  }

  /** To be called before the editor closes: a closed one cannot draw. */
  detach(): void {
    this.#screen.off('resize', this.#onResize);
    this.#editor = undefined;
  }

  override _write(chunk: string | Buffer, _encoding: string, done: () => void): void {
    if (this.#isShown) this.#screen.write(chunk);
    done();
  }

  #resized(): void {
    if (!this.#isShown || !this.#editor) return;
    const drawn = this.#editor.getCursorPos().rows;
    this.#columns = this.#screen.columns;
    const up = Math.min(drawn, this.#editor.getCursorPos().rows);
    if (up > 0) this.#screen.write(`\u001B[${up}A`);
    this.show();
  }

  /** Makes the editor draw its line in one row, hidden: it then moves up no rows at the next redraw. */
  #forgetRows(): void {
    this.#isShown = false;
    this.emit('resize');
  }
}
