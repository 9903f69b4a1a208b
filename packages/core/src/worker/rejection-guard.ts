import type { Logger } from '../logger.js';
import { diagnose } from '../protocol/thrown.js';

/** Whose logger hears of it: every running orchestrator of this process that wants to. */
const loggers = new Set<Logger>();

/**
 * Node ends a process whose code leaves a promise rejected with nothing to catch it. In a process that runs tasks that
 * would be one careless workflow ending all others, so there it is logged instead, while one of these is running. A listener
 * of the host is called as well, and decides whether the process ends. See ADR 13.
 */
function contain(reason: unknown): void {
  const { message, ...more } = diagnose(reason);
  for (const logger of loggers) logger.error('unhandled rejection', { error: message, ...more });
  process.emitWarning(`a promise was rejected and nothing caught it: ${more.stack ?? message}`, {
    type: 'UnhandledRejection',
    detail: 'A workflow or a service of this process probably did not await what it began.',
  });
}

/** `start` and `stop` may be called twice and in any order. */
export class RejectionGuard {
  constructor(private readonly logger: Logger) {}

  start(): void {
    if (loggers.size === 0) process.on('unhandledRejection', contain);
    loggers.add(this.logger);
  }

  stop(): void {
    if (loggers.delete(this.logger) && loggers.size === 0) process.off('unhandledRejection', contain);
  }
}
