/** What usage can be summed by. `task` is the one that the client has submitted, also for usage of its child tasks. */
export const USAGE_DIMENSIONS = ['day', 'model', 'operation', 'session', 'task', 'agent', 'user'] as const;
/** What usage can be summed by. */
export type UsageDimension = (typeof USAGE_DIMENSIONS)[number];
