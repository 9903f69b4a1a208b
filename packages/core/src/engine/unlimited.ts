/** "No limit" in a command: JSON has no infinity. */
export const UNLIMITED = Number.MAX_SAFE_INTEGER;

/** The limit as a number of JSON. */
export function finite(limit: number): number {
  return Math.min(limit, UNLIMITED);
}
