import { connect } from 'node:net';

/** An answer of Redis, in RESP2. */
export type RedisReply = string | number | null | RedisReply[];

export interface AskRedisOptions {
  readonly timeoutMs?: number;
}

const INCOMPLETE = Symbol('incomplete');

/**
 * Sends one command over a connection of its own: for inspection from outside, not for speed.
 *
 * @throws {Error} with the error text of Redis, or when no answer comes in time.
 */
export function askRedis(
  port: number,
  command: readonly (string | number)[],
  { timeoutMs = 5_000 }: AskRedisOptions = {},
): Promise<RedisReply> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    let received = Buffer.alloc(0);
    const settle = (error: Error | undefined, reply?: RedisReply) => {
      clearTimeout(late);
      socket.destroy();
      if (error) reject(error);
      else resolve(reply ?? null);
    };
    const fail = (why: string) => settle(new Error(`${command[0]} at port ${port}: ${why}`));
    const late = setTimeout(() => fail(`no answer within ${timeoutMs} ms`), timeoutMs);
    socket.on('error', (error) => fail(error.message));
    socket.on('close', () => fail('the connection was closed'));
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      try {
        const parsed = parse(received, 0);
        if (parsed !== INCOMPLETE) settle(undefined, parsed.reply);
      } catch (error) {
        settle(error as Error);
      }
    });
    const parts = command.map((part) => `$${Buffer.byteLength(String(part))}\r\n${part}\r\n`);
    socket.write(`*${parts.length}\r\n${parts.join('')}`);
  });
}

interface Parsed {
  readonly reply: RedisReply;
  readonly end: number;
}

function parse(bytes: Buffer, at: number): Parsed | typeof INCOMPLETE {
  const lineEnd = bytes.indexOf('\r\n', at);
  if (lineEnd < 0) return INCOMPLETE;
  const line = bytes.toString('utf8', at + 1, lineEnd);
  const end = lineEnd + 2;
  switch (String.fromCharCode(bytes[at] ?? 0)) {
    case '+':
      return { reply: line, end };
    case '-':
      throw new Error(line);
    case ':':
      return { reply: Number(line), end };
    case '$': {
      const length = Number(line);
      if (length < 0) return { reply: null, end };
      if (bytes.length < end + length + 2) return INCOMPLETE;
      return { reply: bytes.toString('utf8', end, end + length), end: end + length + 2 };
    }
    case '*':
      return parseArray(bytes, end, Number(line));
    default:
      throw new Error(`expected an answer of Redis, got ${JSON.stringify(line.slice(0, 100))}`);
  }
}

function parseArray(bytes: Buffer, start: number, length: number): Parsed | typeof INCOMPLETE {
  if (length < 0) return { reply: null, end: start };
  const reply: RedisReply[] = [];
  let end = start;
  while (reply.length < length) {
    const item = parse(bytes, end);
    if (item === INCOMPLETE) return INCOMPLETE;
    reply.push(item.reply);
    end = item.end;
  }
  return { reply, end };
}
