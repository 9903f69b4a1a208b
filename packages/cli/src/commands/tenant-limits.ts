/** Highest weight of a tenant in fair queueing. */
export const MAX_WEIGHT = 100;
