import { createInterface } from 'node:readline/promises';
import type { CommandContext } from './command-context.js';

/** Asks on a terminal; without one, and for programs, the answer is no. */
export async function confirmed({ terminal, signal }: CommandContext, question: string): Promise<boolean> {
  if (!terminal.isTyped || terminal.json) return false;
  const prompt = createInterface({ input: terminal.stdin, output: terminal.stderr });
  const answer = await prompt.question(`${question} [y/N] `, { signal }).finally(() => prompt.close());
  return /^y(?:es)?$/i.test(answer.trim());
}
