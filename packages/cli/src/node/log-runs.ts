import type { Logger, Orchestrator } from '@agent-orchestrator/core';

/** Logs ended tasks and failed calls of this process, without what they are about. Returns a function that ends it. */
export function logRuns(orchestrator: Orchestrator, logger: Logger): () => void {
  const ends = [
    orchestrator.on('runEnded', ({ error, ...run }) =>
      logger.debug('run ended', { ...run, ...(error && { code: error.code }) }),
    ),
    orchestrator.on('taskEnded', ({ error, ...task }) =>
      logger.info('task ended', { ...task, ...(error && { code: error.code }) }),
    ),
    orchestrator.on('callEnded', ({ error, outcome, ...call }) => {
      if (outcome !== 'failed') logger.debug('call ended', { ...call, outcome });
      // A final error is the answer of a service that works.
      else if (error?.retryable === true) logger.warn('call failed', { ...call, code: error.code });
      else logger.info('call failed', { ...call, ...(error && { code: error.code }) });
    }),
    orchestrator.on('breakerOpened', (breaker) => logger.warn('circuit breaker opened', { ...breaker })),
  ];
  return () => {
    for (const end of ends) end();
  };
}
