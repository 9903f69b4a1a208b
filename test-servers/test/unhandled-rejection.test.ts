import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { MARKS_REJECTIONS, refuseUnhandled, watchStderr } from '@agent-orchestrator/test-servers';
import { expect, it } from 'vitest';

/** Runs a program to its end; returns the check of its stderr. */
async function ended(program: string, ...flags: string[]): Promise<() => void> {
  const child = spawn(process.execPath, [...flags, '-e', program], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, ...MARKS_REJECTIONS },
  });
  const check = watchStderr(child.stderr, 'the program');
  await once(child, 'close');
  return check;
}

it.each([
  ['an error', "Promise.reject(new Error('oops'))"],
  ['a string', "Promise.reject('oops')"],
])('detects an unhandled rejection with %s', async (_, program) => {
  expect(await ended(program)).toThrow(/the program: a rejection was not handled/);
});

it('detects an unhandled rejection that is only a warning, and one printed by another program', async () => {
  expect(await ended("Promise.reject(new Error('oops'))", '--unhandled-rejections=warn')).toThrow(
    /not handled/,
  );
  expect(() => refuseUnhandled("code: 'ERR_UNHANDLED_REJECTION'", 'it')).toThrow(/^it: /);
});

it('accepts other errors on stderr, and handled rejections', async () => {
  expect(await ended("console.error('error: Unhandled case'); process.exit(1)")).not.toThrow();
  expect(await ended("Promise.reject(new Error('oops')).catch(() => {})")).not.toThrow();
});
