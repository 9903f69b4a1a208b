/** Reconnect delay of a browser, ms. */
const RETRY_MS = 2_000;
export const RETRY = Buffer.from(`retry: ${RETRY_MS}\n\n`);
/** A comment as a heartbeat. */
export const SSE_HEARTBEAT = Buffer.from(': heartbeat\n\n');

/** @param id absent: a reconnecting reader resumes at its previous position. */
export function formatSse(event: string, id: string | undefined, data: string | Buffer): Buffer {
  const head = id === undefined ? `event: ${event}\n` : `event: ${event}\nid: ${id}\n`;
  return Buffer.concat([Buffer.from(`${head}data: `), Buffer.from(data), Buffer.from('\n\n')]);
}
