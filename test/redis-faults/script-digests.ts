import type { Database } from '../../packages/redis-adapter/src/server/database.js';
import type { Topology } from '../../packages/redis-adapter/src/server/topology.js';
import { SCRIPTS } from '../../packages/redis-adapter/src/generated/scripts.js';
import {
  REDIS_DEFAULTS,
  type ScriptName,
  ScriptRunner,
} from '../../packages/redis-adapter/src/scripts/script-runner.js';

export type { ScriptName };

const SCRIPT_NAMES = Object.keys(SCRIPTS) as ScriptName[];

/** Scripts that write. */
export const WRITING_SCRIPTS = SCRIPT_NAMES.filter((name) => !SCRIPTS[name].includes('flags=no-writes'));

/** The digest of a script as the adapter sends it, for proxies that look for it. */
export async function scriptDigest(name: ScriptName): Promise<string> {
  let digest = '';
  const recorder = {
    evalsha: (sha: string) => {
      digest = sha;
      return Promise.resolve(null);
    },
  };
  const topology = { client: recorder } as unknown as Topology;
  const database = { number: 0, check: () => undefined } as unknown as Database;
  await new ScriptRunner(topology, REDIS_DEFAULTS, database).run(name, [], []);
  return digest;
}
