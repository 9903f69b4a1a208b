import type { Logger } from '../runtime/logger.js';
import { diagnose } from '../protocol/thrown.js';

/** Those of the running orchestrators of this process: two of them may share a logger. */
const guards = new Set<RejectionGuard>();

/**
 * Node ends a process whose code leaves a promise rejected with nothing to catch it. In a process that runs tasks that
 * would be one careless workflow ending all others, so there it is logged instead, while one of these is running. A listener
 * of the host is called as well, and decides whether the process ends. See ADR 13.
 */
function contain(reason: unknown): void {
  const { message, ...more } = diagnose(reason);
  const loggers = new Set([...guards].map(({ logger }) => logger));
  for (const logger of loggers) logger.error('unhandled rejection', { error: message, ...more });
  process.emitWarning(`a promise was rejected and nothing caught it: ${more.stack ?? message}`, {
    type: 'UnhandledRejection',
    detail: 'A workflow or a service of this process probably did not await what it began.',
  });
}

/** `start` and `stop` may be called twice and in any order. */
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
