import type { TaskEvent } from '@agent-orchestrator/core';
import { printable, type Terminal } from '../terminal/terminal.js';
import { deltaOf, eventLine } from './event-line.js';

/** Prints events on stderr, one per line; streamed text as running text. */
export class EventPrinter {
  #written = '';
  #isWriting = false;

  constructor(private readonly terminal: Terminal) {}

  /** Text streamed so far. */
  get written(): string {
    return this.#written;
  }

  print(event: TaskEvent): void {
    const { terminal } = this;
    if (terminal.json) return;
    const delta = deltaOf(event);
    if (delta === undefined) {
      this.end();
      terminal.talk(`  ${eventLine(event, terminal, terminal.stderr)}`);
      return;
    }
    terminal.stderr.write(printable(delta));
    this.#written += delta;
    this.#isWriting = true;
  }

  /** Ends the line of a streamed text. */
  end(): void {
    if (this.#isWriting) this.terminal.talk('');
    this.#isWriting = false;
  }
}
