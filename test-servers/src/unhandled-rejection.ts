import type { Readable } from 'node:stream';

const UNHANDLED =
  /ERR_UNHANDLED_REJECTION|triggerUncaughtException|UnhandledPromiseRejection|\[UnhandledPromise/;
const MARK = `process.on('uncaughtExceptionMonitor', (_, origin) => {
  if (origin === 'unhandledRejection') process.stderr.write('ERR_UNHANDLED_REJECTION\\n');
});`;

/**
 * Environment of a Node process: marks an unhandled rejection on stderr, beside the error that Node prints
 * anyway.
 */
export const MARKS_REJECTIONS = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(MARK)}` };

/** Longer than the mark, which two chunks of output may share. */
const KEPT = 100;

/** @throws {Error} when the stderr of a Node process has an unhandled rejection. */
export function refuseUnhandled(stderr: string, program: string): void {
  if (UNHANDLED.test(stderr)) throw new Error(`${program}: a rejection was not handled:\n${stderr}`);
}

/** Passes on the stderr of a Node process. The returned function throws like `refuseUnhandled`. */
export function watchStderr(stderr: Readable | null, program: string): () => void {
  if (!stderr) throw new Error(`${program}: expected a pipe for stderr, got none`);
  let last = '';
  let bad: string | undefined;
  stderr.setEncoding('utf8').on('data', (text: string) => {
    process.stderr.write(text);
    if (UNHANDLED.test(last + text)) bad ??= last + text;
    last = (last + text).slice(-KEPT);
  });
  return () => refuseUnhandled(bad ?? '', program);
}
