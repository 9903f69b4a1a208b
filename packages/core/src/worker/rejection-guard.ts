import type { Logger } from '../runtime/logger.js';
import { diagnose } from '../protocol/thrown.js';

/** Guards of the running orchestrators in this process; two may share a logger. */
const guards = new Set<RejectionGuard>();

/**
 * Node ends a process on an unhandled rejection. In a process that runs tasks, one faulty workflow would end all others, so it
 * is logged instead while a guard is active. A listener of the host is called as well, and decides whether the process ends.
 * See ADR 13.
 */
function contain(reason: unknown): void {
  const { message, ...more } = diagnose(reason);
  const loggers = new Set([...guards].map(({ logger }) => logger));
  for (const logger of loggers) logger.error('unhandled rejection', { error: message, ...more });
  process.emitWarning(`a promise was rejected and nothing caught it: ${more.stack ?? message}`, {
    type: 'UnhandledRejection',
    detail: 'A workflow or an in-process service probably did not await a promise.',
  });
}

/** Logs unhandled rejections between `start` and `stop`; both are idempotent and may be called in any order. */
export class RejectionGuard {
  constructor(readonly logger: Logger) {}

  start(): void {
    if (guards.size === 0) process.on('unhandledRejection', contain);
    guards.add(this);
  }

  stop(): void {
    if (guards.delete(this) && guards.size === 0) process.off('unhandledRejection', contain);
  }
}
