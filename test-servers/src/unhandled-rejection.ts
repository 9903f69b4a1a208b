import type { Readable } from 'node:stream';

const UNHANDLED =
  /ERR_UNHANDLED_REJECTION|triggerUncaughtException|UnhandledPromiseRejection|\[UnhandledPromise/;
const MARK = `process.on('uncaughtExceptionMonitor', (_, origin) => {
  if (origin === 'unhandledRejection') process.stderr.write('ERR_UNHANDLED_REJECTION\\n');
});`;

/** For the environment of a process of Node: when it ends for a rejection it says so, beside the error that it shows anyway. */
export const MARKS_REJECTIONS = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(MARK)}` };

/** Longer than what is looked for, which two pieces of output may share. */
const KEPT = 100;

/** @throws {Error} when the stderr of a Node process reports an unhandled rejection. */
export function refuseUnhandled(stderr: string, program: string): void {
  if (UNHANDLED.test(stderr)) throw new Error(`${program}: a rejection was not handled:\n${stderr}`);
}

/** Passes on what a process of Node writes to stderr. What it gives throws as `refuseUnhandled` does. */
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
