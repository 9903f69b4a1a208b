import { openSync, writeSync } from 'node:fs';
import { RedisStorage } from '@agent-orchestrator/redis-adapter';

/** What the conductor wants: target, prefix, log, leaseMs, tenants, seconds… */
export const settings = JSON.parse(process.env['FAULT_CHILD'] ?? '{}');

const log = openSync(settings.log, 'a');

/** The machine's time in milliseconds, which all its processes share and nobody sets. */
export function now() {
  return Number(process.hrtime.bigint() / 1_000n) / 1_000;
}

/** One line in the log of this process: written before it goes on, whatever becomes of it then. */
export function note(kind, entry = {}) {
  writeSync(log, `${JSON.stringify({ kind, at: now(), process: settings.name, ...entry })}\n`);
}

export function openStorage() {
  const { target, prefix, limits } = settings;
  return RedisStorage.connect(target, { prefix, limits, commandTimeoutMs: 2_000 });
}

export function noteError(what, error) {
  note('error', { what, code: error?.code ?? 'foreign', text: String(error) });
}

/** The conductor may end without a word: then so does this process. */
process.on('disconnect', () => process.exit(0));
