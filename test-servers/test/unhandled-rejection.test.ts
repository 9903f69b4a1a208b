import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { MARKS_REJECTIONS, refuseUnhandled, watchStderr } from '@agent-orchestrator/test-servers';
import { expect, it } from 'vitest';

/** A program that ends; what its stderr is checked with. */
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
  ['something else', "Promise.reject('oops')"],
])('a rejection with %s that a program does not handle is found', async (_, program) => {
  expect(await ended(program)).toThrow(/the program: a rejection was not handled/);
});

it('so is one that it only warns of, and what another program prints of it', async () => {
  expect(await ended("Promise.reject(new Error('oops'))", '--unhandled-rejections=warn')).toThrow(
    /not handled/,
  );
  expect(() => refuseUnhandled("code: 'ERR_UNHANDLED_REJECTION'", 'it')).toThrow(/^it: /);
});

it('what a program prints otherwise is none', async () => {
  expect(await ended("console.error('error: Unhandled case'); process.exit(1)")).not.toThrow();
  expect(await ended("Promise.reject(new Error('oops')).catch(() => {})")).not.toThrow();
});
