import { Writable } from 'node:stream';

export type Screen = NodeJS.WritableStream & { readonly columns?: number };

/** What of `readline` is needed to draw its line anew. */
export interface LineEditor {
  getCursorPos(): { readonly rows: number };
  prompt(preserveCursor?: boolean): void;
}

/**
 * What a `readline` interface draws its line on. The interface erases from the row where it believes its line begins down
 * to the end of the screen, at each resize and at many keys. So that it never erases anything but its own line, it is
 *
 * - hidden while an answer is printed: nothing that it draws is written, and its line takes one row, however wide;
 * - shown at the prompt: after a resize its rows are computed from the columns of now. Some terminals fold a line anew, some
 *   cut it; the smaller number of rows is right for both, or leaves a row too much on the screen.
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

  /** Read by `readline` at each redraw; without a number no line breaks. */
  get columns(): number | undefined {
    return this.#isShown ? this.#columns : undefined;
  }

  /** The editor that draws here. */
  attach(editor: LineEditor): void {
    this.#editor = editor;
  }

  hide(): void {
    this.#isShown = false;
  }

  /** Draws the prompt, and what has been typed meanwhile, in a row of its own. */
  show(): void {
    this.#forgetRows();
    this.#columns = this.#screen.columns;
    this.#isShown = true;
    this.#editor?.prompt(true);
  }

  /** Ends before the editor does: a closed one can't draw. */
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

  /** Has the editor draw its line in one row, unseen: it moves up no row when it draws the next time. */
  #forgetRows(): void {
    this.#isShown = false;
    this.emit('resize');
  }
}
