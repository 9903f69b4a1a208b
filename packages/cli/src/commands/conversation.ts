import { createInterface, type Interface } from 'node:readline/promises';
import type { Message } from '@agent-orchestrator/core';
import { Fifo } from '@agent-orchestrator/core/server';
import type { Connection } from '../client/connection.js';
import { sessionPath } from '../client/routes.js';
import { EXIT } from '../errors/errors.js';
import { exitCodeOf, exitCodeOfTask } from '../errors/exit-code.js';
import { PromptOutput } from '../print/prompt-output.js';
import { printable } from '../terminal/terminal.js';
import { ask } from './ask.js';
import type { CommandContext } from './command-context.js';

export interface ConversationOptions {
  /** Continues this session; otherwise the first question starts a new one. */
  readonly session: string | undefined;
  readonly agent: string | undefined;
  readonly quiet: boolean | undefined;
}

const PROMPT = '> ';
const HELP = '/new begins another session, /history shows this one, /quit (or Ctrl-D) ends';

/**
 * Questions and answers, one per line, until the end of the input. On a terminal there is a greeting and a
 * prompt, and Ctrl-C gives up a pending answer, or ends the conversation at the prompt. Otherwise each line
 * is a question, and the first failure determines the exit code.
 */
export class Conversation {
  #session: string | undefined;
  #asking: AbortController | undefined;

  constructor(
    private readonly context: CommandContext,
    private readonly connection: Connection,
    private readonly options: ConversationOptions,
  ) {
    this.#session = options.session;
  }

  async hold(): Promise<void> {
    const { terminal, signal } = this.context;
    const typed = terminal.isTyped && !terminal.json;
    // Checks the connection first: an error is better shown before the first question.
    await this.connection.api.get('/v1/sessions', { query: { limit: 1 } });
    const what = this.#session === undefined ? 'a new conversation' : `session ${this.#session}`;
    if (typed) terminal.talk(`${what} at ${this.connection.url}. ${HELP}.`);
    const output = typed && terminal.redraws ? new PromptOutput(terminal.stderr) : undefined;
    const prompt = createInterface({
      input: terminal.stdin,
      ...(typed && { output: output ?? terminal.stderr }),
      terminal: output !== undefined,
      prompt: PROMPT,
    });
    output?.attach(prompt);
    /** For each queued line: whether it was visible when typed. */
    const seen = new Fifo<boolean>();
    prompt.on('line', () => {
      seen.push(output?.isShown ?? true);
      output?.hide();
    });
    const interrupt = () => this.#interrupt(prompt);
    prompt.on('SIGINT', interrupt);
    signal.addEventListener('abort', interrupt);
    // After Ctrl-D queued lines may remain, but the prompt is closed, and newer versions of Node throw on its
    // use.
    let closed = false;
    prompt.once('close', () => {
      closed = true;
      output?.detach();
    });
    let quit = false;
    try {
      if (typed) prompt.prompt();
      for await (const line of prompt) {
        if (seen.shift() === false) terminal.talk(`${PROMPT}${printable(line)}`);
        quit = !(await this.#turn(line.trim()));
        if (quit || signal.aborted) break;
        if (!typed || closed) continue;
        if (!output) prompt.prompt();
        else if (seen.size === 0) output.show();
      }
    } finally {
      // After Ctrl-D the shell's prompt starts on a line of its own.
      if (typed && !quit) terminal.talk('');
      signal.removeEventListener('abort', interrupt);
      prompt.close();
    }
    if (signal.aborted) this.context.exit(EXIT.interrupted);
  }

  #interrupt(prompt: Interface): void {
    if (this.#asking) {
      this.#asking.abort();
      return;
    }
    this.context.exit(EXIT.interrupted);
    prompt.close();
  }

  /** Returns whether the conversation continues. */
  async #turn(text: string): Promise<boolean> {
    const { terminal } = this.context;
    if (text === '/quit' || text === '/exit') return false;
    if (text === '/new') this.#session = undefined;
    else if (text === '/history') await this.#showHistory();
    else if (text.startsWith('/')) terminal.talk(`${text} is unknown: ${HELP}`);
    else if (text !== '') await this.#answer(text);
    return true;
  }

  async #answer(message: string): Promise<void> {
    const { terminal } = this.context;
    const { agent, quiet } = this.options;
    this.#asking = new AbortController();
    try {
      const { signal } = this.#asking;
      const task = await ask(this.context, this.connection, {
        message,
        session: this.#session,
        agent,
        quiet,
        signal,
        onAccepted: (session) => {
          this.#session = session;
        },
      });
      if (!task) terminal.talk('cancelled');
      if (task && !terminal.isTyped) this.#failed(exitCodeOfTask(task));
    } catch (error) {
      const code = exitCodeOf(error);
      if (code === EXIT.unreachable || code === EXIT.denied || !terminal.isTyped) throw error;
      terminal.error((error as Error).message);
    } finally {
      this.#asking = undefined;
    }
  }

  #failed(code: number): void {
    if (code !== EXIT.ok) this.context.exit(code);
  }

  async #showHistory(): Promise<void> {
    const { terminal } = this.context;
    if (this.#session === undefined) {
      terminal.talk('no messages yet');
      return;
    }
    const path = `${sessionPath(this.#session)}/messages`;
    const { messages } = await this.connection.api.get<{ messages: Message[] }>(path);
    for (const { role, content } of messages) {
      if (terminal.json) terminal.record({ role, content });
      else terminal.data(`${terminal.paint('bold', role)}: ${printable(content)}`);
    }
  }
}
