/** Where the orchestrator says what it does. Payloads, tokens and results are never in it. */
export interface Logger {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

const nothing = () => {};
export const silentLogger: Logger = { debug: nothing, info: nothing, warn: nothing, error: nothing };

const guarded = new WeakSet<Logger>([silentLogger]);

/**
 * A logger that never throws, around one of the host. A log that fails must not fail the work that it tells of, nor end
 * the process: what `logger` throws, or rejects with, is dropped.
 */
export function guardedLogger(logger: Logger): Logger {
  if (guarded.has(logger)) return logger;
  const guard =
    (level: keyof Logger): Logger[keyof Logger] =>
    (message, fields) => {
      try {
        const returned: unknown = logger[level](message, fields);
        // An async method of the host may reject.
        if (typeof returned === 'object' && returned !== null) Promise.resolve(returned).catch(nothing);
      } catch {
        // There is nowhere left to say it.
      }
    };
  const safe = { debug: guard('debug'), info: guard('info'), warn: guard('warn'), error: guard('error') };
  guarded.add(safe);
  return safe;
}
