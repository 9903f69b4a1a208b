import { OrchestratorError } from '@agent-orchestrator/core';
import { messageOf } from '@agent-orchestrator/core/protocol';
import type { Terminal } from '../terminal/terminal.js';
import { errorCodeOf, exitCodeOf } from '../errors/exit-code.js';

/** Prints the error that ended a command; returns the exit code. */
export function report(error: unknown, terminal: Terminal): number {
  terminal.failure(errorCodeOf(error), messageOf(error));
  const issues = error instanceof OrchestratorError ? (error.issues ?? []) : [];
  if (!terminal.json && issues.length > 1) {
    for (const { path, expected, got } of issues)
      terminal.stderr.write(`  ${path}: expected ${expected}, got ${got}\n`);
  }
  return exitCodeOf(error);
}
