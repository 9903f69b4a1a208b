/** Log of the orchestrator. Never contains payloads, tokens or results. */
export interface Logger {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

const noop = () => {};
/** Logger without output. */
export const silentLogger: Logger = { debug: noop, info: noop, warn: noop, error: noop };

const guarded = new WeakSet<Logger>([silentLogger]);

/**
 * Wraps a logger of the host so that it never throws: errors and rejections of `logger` are dropped. Failed logging must
 * neither fail the logged work nor end the process.
 */
export function guardedLogger(logger: Logger): Logger {
  if (guarded.has(logger)) return logger;
  const guard =
    (level: keyof Logger): Logger[keyof Logger] =>
    (message, fields) => {
      try {
        const returned: unknown = logger[level](message, fields);
        // An async method of the host may reject.
        if (typeof returned === 'object' && returned !== null) Promise.resolve(returned).catch(noop);
      } catch {
        // Nowhere left to report it.
      }
    };
  const safe = { debug: guard('debug'), info: guard('info'), warn: guard('warn'), error: guard('error') };
  guarded.add(safe);
  return safe;
}
