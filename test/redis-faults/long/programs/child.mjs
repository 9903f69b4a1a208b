import { openSync, writeSync } from 'node:fs';
import { RedisStorage } from '@agent-orchestrator/redis-adapter';

/** Settings from the test: target, prefix, log, leaseMs, tenants, seconds… */
export const settings = JSON.parse(process.env['FAULT_CHILD'] ?? '{}');

const log = openSync(settings.log, 'a');

/** The machine's monotonic time in ms, shared by all its processes. */
export function now() {
  return Number(process.hrtime.bigint() / 1_000n) / 1_000;
}

/** Writes one line to the log of this process, synchronously, so that it survives a kill. */
export function logEntry(kind, entry = {}) {
  writeSync(log, `${JSON.stringify({ kind, at: now(), process: settings.name, ...entry })}\n`);
}

export function openStorage() {
  const { target, prefix, limits } = settings;
  return RedisStorage.connect(target, { prefix, limits, commandTimeoutMs: 2_000 });
}

export function logError(what, error) {
  logEntry('error', { what, code: error?.code ?? 'foreign', text: String(error) });
}

/** Ends with the test's process, however that ends. */
process.on('disconnect', () => process.exit(0));
