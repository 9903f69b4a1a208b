import type { RedisServer } from '@agent-orchestrator/test-servers';

/** Counters of a server since its start. */
export interface RedisStats {
  /** Microseconds, all threads. */
  readonly cpuUs: number;
  /** Including those inside scripts. */
  readonly commands: number;
  /** Script calls by clients, and their duration in microseconds. */
  readonly scripts: number;
  readonly scriptUs: number;
  /** Bytes. */
  readonly usedMemory: number;
}

const SCRIPT_CALLS: ReadonlySet<string> = new Set(['evalsha', 'eval', 'evalsha_ro', 'eval_ro', 'fcall']);

export async function readStats(server: RedisServer): Promise<RedisStats> {
  const text = String(await server.ask(['INFO', 'everything']));
  const fields = new Map(text.split('\r\n').map((line) => line.split(/:(.*)/s) as [string, string]));
  const number = (field: string) => Number(fields.get(field));
  let scripts = 0;
  let scriptUs = 0;
  for (const [field, value] of fields) {
    if (!field.startsWith('cmdstat_') || !SCRIPT_CALLS.has(field.slice('cmdstat_'.length))) continue;
    const [, calls, us] = /calls=(\d+),usec=(\d+)/.exec(value) ?? [];
    scripts += Number(calls);
    scriptUs += Number(us);
  }
  return {
    cpuUs: (number('used_cpu_user') + number('used_cpu_sys')) * 1e6,
    commands: number('total_commands_processed'),
    scripts,
    scriptUs,
    usedMemory: number('used_memory'),
  };
}
