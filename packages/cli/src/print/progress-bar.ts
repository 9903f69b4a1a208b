import type { Terminal } from '../terminal.js';

const WIDTH = 28;

/** How far many things are: a bar that is redrawn on a terminal, a line for each thing elsewhere. */
export class ProgressBar {
  #done = 0;
  #drawn = false;

  constructor(
    private readonly terminal: Terminal,
    private readonly total: number,
  ) {}

  /** One more is done. */
  step(label: string): void {
    this.#done += 1;
    if (this.terminal.json) return;
    if (this.terminal.redraws) this.#draw(label);
    else this.terminal.talk(`  ${this.#done}/${this.total} ${label}`);
  }

  /** A line that stays, above the bar. */
  note(text: string): void {
    if (this.#drawn) this.terminal.stderr.write('\r\u001B[K');
    this.terminal.talk(text);
    if (this.#drawn) this.#draw('');
  }

  end(): void {
    if (this.#drawn) this.terminal.stderr.write('\n');
    this.#drawn = false;
  }

  #draw(label: string): void {
    const filled = Math.round((this.#done / Math.max(1, this.total)) * WIDTH);
    const bar = `${'█'.repeat(filled)}${'░'.repeat(WIDTH - filled)}`;
    this.terminal.stderr.write(`\r\u001B[K  ${bar} ${this.#done}/${this.total} ${label.slice(0, 40)}`);
    this.#drawn = true;
  }
}
