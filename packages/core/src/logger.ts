/** Where the orchestrator says what it does. Payloads, tokens and results are never in it. */
export interface Logger {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

const nothing = () => {};
export const silentLogger: Logger = { debug: nothing, info: nothing, warn: nothing, error: nothing };

/** A host's logger that throws stops nothing: what it was told is lost. */
export function safeLogger(logger: Logger): Logger {
  const safely = (level: keyof Logger) => (message: string, fields?: Readonly<Record<string, unknown>>) => {
    try {
      logger[level](message, fields);
    } catch {
      // There is no better place to say so.
    }
  };
  return { debug: safely('debug'), info: safely('info'), warn: safely('warn'), error: safely('error') };
}
