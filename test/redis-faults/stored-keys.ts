import type { RedisServer } from '@agent-orchestrator/test-servers';

const DUMP = `
local found = {}
for _, key in ipairs(redis.call('KEYS', ARGV[1] .. ':*')) do
  local kind = redis.call('TYPE', key).ok
  local value
  if kind == 'string' then value = redis.call('GET', key)
  elseif kind == 'hash' then value = redis.call('HGETALL', key)
  elseif kind == 'list' then value = redis.call('LRANGE', key, 0, -1)
  elseif kind == 'set' then value = redis.call('SMEMBERS', key)
  elseif kind == 'zset' then value = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
  elseif kind == 'stream' then value = redis.call('XRANGE', key, '-', '+')
  end
  found[#found + 1] = { key, kind, value }
end
return cjson.encode(found)`;

/** All data stored below a prefix, by key without the prefix, in a stable order. */
export async function storedKeys(server: RedisServer, prefix: string): Promise<Record<string, unknown>> {
  const text = await server.ask(['EVAL', DUMP, 0, prefix]);
  // An empty list is an empty object to Lua.
  const found = Object.values(JSON.parse(String(text)) as Record<string, [string, string, unknown]>);
  return Object.fromEntries(
    found
      .map(([key, kind, value]) => [key.slice(prefix.length), inOrder(kind, value)] as const)
      .toSorted(([a], [b]) => (a < b ? -1 : 1)),
  );
}

function inOrder(kind: string, value: unknown): unknown {
  if (kind === 'set') return (value as string[]).toSorted();
  if (kind !== 'hash') return value;
  const flat = value as string[];
  const fields: [string, unknown][] = [];
  for (let at = 0; at < flat.length; at += 2) fields.push([flat[at] ?? '', decoded(flat[at + 1] ?? '')]);
  return Object.fromEntries(fields.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/** The order of fields in JSON written by Lua is random. */
function decoded(text: string): unknown {
  if (!text.startsWith('{')) return text;
  const [head = '', ...rest] = text.split('\n');
  try {
    return [JSON.parse(head), ...rest];
  } catch {
    return text;
  }
}
