/** Exit codes; from 64 on those of sysexits.h. */
export const EXIT = {
  ok: 0,
  taskFailed: 1,
  usage: 2,
  notFound: 3,
  denied: 4,
  limited: 5,
  unreachable: 69,
  timeOut: 75,
  badConfiguration: 78,
  interrupted: 130,
} as const;

/** Invalid settings: the command cannot start. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
}

/** Invalid usage of the command. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
