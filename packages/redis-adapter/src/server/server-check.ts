import type { Clock } from '@agent-orchestrator/core';
import type { Redis } from 'ioredis';
import { toStorageError } from './storage-errors.js';
import type { Topology } from './topology.js';

/** A setting of the server that is unsafe or would lose work. */
export interface ServerFinding {
  readonly level: 'unsafe' | 'refused';
  readonly message: string;
}

const CLOCK_TOLERANCE_MS = 5_000;
const OLDEST_MAJOR = 7;

/** Version, eviction, persistence and clock of every node. A check without permission is a finding. */
export async function checkServer(topology: Topology, clock: Clock): Promise<readonly ServerFinding[]> {
  try {
    const found = await Promise.all(topology.masters().map((node) => checkNode(node, clock)));
    return found.flat();
  } catch (error) {
    throw toStorageError(error);
  }
}

async function checkNode(node: Redis, clock: Clock): Promise<ServerFinding[]> {
  const findings: ServerFinding[] = [];
  const info = await allowed(node.info(), findings, 'INFO');
  if (info !== undefined) {
    const version = /redis_version:(\d+)\.(\S+)/.exec(info);
    if (version && Number(version[1]) < OLDEST_MAJOR)
      findings.push({
        level: 'refused',
        message: `Redis ${version[1]}.${version[2]} is too old: expected ${OLDEST_MAJOR} or later, or Valkey`,
      });
    if (/role:slave/.test(info))
      findings.push({ level: 'refused', message: 'this Redis is a replica, which takes no writes' });
    if (/aof_enabled:0/.test(info))
      findings.push({
        level: 'unsafe',
        message: 'appendonly is off: what was accepted since the last snapshot is gone when Redis ends',
      });
  }
  const evicts = /maxmemory_policy:(\S+)/.exec(info ?? '')?.[1];
  if (evicts !== undefined && evicts !== 'noeviction')
    findings.push({
      level: 'refused',
      message: `maxmemory-policy is ${evicts}, which throws work away: expected noeviction`,
    });
  const [seconds] = await node.time();
  const offMs = Math.abs(Number(seconds) * 1000 - clock.now());
  if (offMs > CLOCK_TOLERANCE_MS)
    findings.push({
      level: 'unsafe',
      message: `the clock of Redis and that of this machine differ by ${Math.round(offMs / 1000)} s`,
    });
  return findings;
}

/** The answer; without permission a part of the check is skipped, with a finding. */
async function allowed<T>(
  answer: Promise<T>,
  findings: ServerFinding[],
  command: string,
): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (!/NOPERM|unknown command/i.test(String(error))) throw error;
    findings.push({
      level: 'unsafe',
      message: `${command} is not allowed here: not everything could be checked`,
    });
    return undefined;
  }
}
