import { cutText } from '@agent-orchestrator/core/protocol';
import { inOneLine, type Terminal } from '../terminal/terminal.js';

const WIDTH = 28;

/** Progress over many items: a redrawn bar on a terminal, otherwise a line per item. */
export class ProgressBar {
  #done = 0;
  #drawn = false;

  constructor(
    private readonly terminal: Terminal,
    private readonly total: number,
  ) {}

  /** Counts an item, or prints the reason of its refusal. */
  step(label: string, refusal?: string): void {
    this.#done += 1;
    if (this.terminal.json) return;
    const count = `${this.#done}/${this.total}`;
    if (!this.terminal.redraws) {
      this.terminal.talk(
        `  ${count} ${refusal === undefined ? inOneLine(label) : this.#refused(label, refusal)}`,
      );
      return;
    }
    if (refusal !== undefined) this.note(`  ${this.#refused(label, refusal)}`);
    this.#draw(count, label);
  }

  /** Prints a line above the bar. */
  note(text: string): void {
    if (this.#drawn) this.terminal.stderr.write('\r\u001B[K');
    this.#drawn = false;
    this.terminal.talk(text);
  }

  end(): void {
    if (this.#drawn) this.terminal.stderr.write('\n');
    this.#drawn = false;
  }

  #refused(label: string, reason: string): string {
    return `${this.terminal.paint('red', 'refused', this.terminal.stderr)} ${inOneLine(label)}: ${inOneLine(reason)}`;
  }

  #draw(count: string, label: string): void {
    const filled = Math.round((this.#done / Math.max(1, this.total)) * WIDTH);
    const bar = `${'█'.repeat(filled)}${'░'.repeat(WIDTH - filled)}`;
    // A wrapped line could not be redrawn.
    const line = cutText(`  ${bar} ${count} ${inOneLine(label)}`, this.terminal.columns - 1);
    this.terminal.stderr.write(`\r\u001B[K${line}`);
    this.#drawn = true;
  }
}
