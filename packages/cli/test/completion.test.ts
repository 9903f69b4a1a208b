import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { cli } from './cli-process.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

/** What bash offers at the end of a line. */
async function offered(script: string, ...words: string[]): Promise<string[]> {
  const program = `${script}
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _orchestrator_cli; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const args = ['--norc', '-c', program, 'bash', 'orchestrator-cli', ...words];
  const { stdout } = await promisify(execFile)('bash', args, { cwd: ROOT });
  return stdout.split('\n').filter((line) => line !== '');
}

it('bash completes commands, their commands, flags and files', async () => {
  const { stdout: script, code } = await cli(['completion', 'bash']);
  expect(code).toBe(0);
  expect(await offered(script, 'ta')).toEqual(['tasks', 'tail']);
  expect(await offered(script, 'tasks', 's')).toEqual(['show', 'signal']);
  expect(await offered(script, '--json', 'tasks', 'li')).toEqual(['list']);
  expect(await offered(script, 'tasks', 'list', '--s')).toEqual([
    '--storage',
    '--status',
    '--session',
    '--since',
  ]);
  expect(await offered(script, 'tasks', 'list', '--js')).toEqual(['--json']);
  expect(await offered(script, 'ingest', 'READ')).toEqual(['README.md']);
  expect(await offered(script, 'nope')).toEqual([]);
});

it('zsh takes the same script', async () => {
  const bash = (await cli(['completion', 'bash'])).stdout.split('\n').slice(1).join('\n');
  const [, setUp, ...zsh] = (await cli(['completion', 'zsh'])).stdout.split('\n');
  expect(setUp).toBe('autoload -U +X bashcompinit && bashcompinit');
  expect(zsh.join('\n')).toBe(bash);
});
