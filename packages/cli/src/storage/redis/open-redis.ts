import { setTimeout as delay } from 'node:timers/promises';
import type { RedisStorage } from '@agent-orchestrator/redis-adapter';
import { OrchestratorError } from '@agent-orchestrator/core';
import { atMost } from '@agent-orchestrator/core/server';
import { systemClock } from '@agent-orchestrator/core/storage';
import { ConfigurationError } from '../../errors/errors.js';
import { redisLabel, type RedisSetting, withoutCredentials } from './redis-address.js';
import type { InspectStorageOptions } from '../storage-kind.js';
import { connectRedis } from './connect-redis.js';
import { whyUnreachable } from './why-unreachable.js';

/** Default time limit of the first answer, ms. */
const WAIT_MS = 10_000;
const PAUSE_MS = 250;
const CLOSE_MS = 1_000;
/** Redis errors for refused or insufficient credentials. */
const REFUSED = /\b(?:WRONGPASS|NOAUTH|NOPERM|ERR AUTH|invalid (?:username-)?password)\b/i;

/**
 * Connects, and resolves once Redis answers.
 *
 * @throws {OrchestratorError} `storage_unavailable` without an answer within `waitMs`.
 * @throws {ConfigurationError} when it refuses user or password, does not have the database, or has keys of another
 *   version.
 */
export async function openRedis(
  setting: RedisSetting,
  { waitMs = WAIT_MS, signal }: InspectStorageOptions,
): Promise<RedisStorage> {
  const storage = await connectRedis(setting);
  try {
    await untilItAnswers(storage, setting, { waitMs, signal });
    return storage;
  } catch (error) {
    // A hanging close does not keep the command.
    const closed = storage.close().catch(() => undefined);
    await atMost(systemClock, CLOSE_MS, closed);
    throw error;
  }
}

async function untilItAnswers(
  storage: Pick<RedisStorage, 'ping'>,
  setting: RedisSetting,
  { waitMs, signal }: { readonly waitMs: number; readonly signal: AbortSignal },
): Promise<void> {
  const deadline = performance.now() + waitMs;
  let why = 'nothing is said';
  for (;;) {
    signal.throwIfAborted();
    const left = deadline - performance.now();
    if (left <= 0) throw unreachable(setting, waitMs, (await whyUnreachable(setting)) ?? why);
    const asked = storage.ping().then(
      () => undefined,
      (error: unknown) => ({ error }),
    );
    if (!(await atMost(systemClock, left, asked))) continue;
    const failed = await asked;
    if (!failed) return;
    const { error } = failed;
    if (error instanceof OrchestratorError && error.code === 'invalid_request')
      throw unusable(setting, error);
    why = reasonOf(error);
    if (REFUSED.test(why)) throw refused(setting, why);
    await delay(Math.min(PAUSE_MS, Math.max(0, deadline - performance.now())), undefined, { signal });
  }
}

function unreachable(setting: RedisSetting, waitMs: number, why: string): OrchestratorError {
  return new OrchestratorError(
    'storage_unavailable',
    `no Redis answers at ${redisLabel(setting)} within ${waitMs / 1000} s (${why}): is it running, and is its address (--storage, --redis or the variable of either) right?`,
  );
}

function unusable(setting: RedisSetting, error: OrchestratorError): ConfigurationError {
  return new ConfigurationError(`the Redis at ${redisLabel(setting)} is refused: ${error.message}`, {
    cause: error,
  });
}

function refused(setting: RedisSetting, why: string): ConfigurationError {
  const given = setting.password === undefined ? 'no password was given' : 'with the password that was given';
  return new ConfigurationError(
    `the Redis at ${redisLabel(setting)} refuses the user or password (${given}): ${why.replace(/\.$/, '')}. ` +
      'Expected them in the URL, or the password in ORCHESTRATOR_REDIS_PASSWORD',
  );
}

/** The innermost error is the most specific: that of the connection, or of Redis. */
function reasonOf(error: unknown): string {
  const texts: string[] = [];
  for (let at: unknown = error; at instanceof Error && texts.length < 8; at = at.cause) {
    const { code } = at as NodeJS.ErrnoException;
    const errno = typeof code === 'string' && /^E[A-Z]+$/.test(code) ? code : undefined;
    texts.push(errno !== undefined && !at.message.includes(errno) ? `${errno} ${at.message}` : at.message);
  }
  const refusal = texts.find((text) => REFUSED.test(text));
  return withoutCredentials(refusal ?? texts.findLast((text) => text !== '') ?? 'no answer');
}
