import type { Logger, Orchestrator } from '@agent-orchestrator/core';

/** Logs ended tasks and failed calls of this process, without what they are about. */
export function logRuns(orchestrator: Orchestrator, logger: Logger): void {
  orchestrator.on('runEnded', ({ error, ...run }) =>
    logger.debug('run ended', { ...run, ...(error && { code: error.code }) }),
  );
  orchestrator.on('taskEnded', ({ error, ...task }) =>
    logger.info('task ended', { ...task, ...(error && { code: error.code }) }),
  );
  orchestrator.on('callEnded', ({ error, outcome, ...call }) => {
    if (outcome === 'failed') logger.warn('call failed', { ...call, ...(error && { code: error.code }) });
    else logger.debug('call ended', { ...call, outcome });
  });
  orchestrator.on('breakerOpened', (breaker) => logger.warn('circuit breaker opened', { ...breaker }));
}
