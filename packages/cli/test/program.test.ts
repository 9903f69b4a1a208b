import { CommanderError } from 'commander';
import { describe, expect, it } from 'vitest';
import { createProgram } from '../src/program/program.js';
import { fakeTerminal } from './fake-terminal.js';

/** What the command line says of arguments that no action is needed for. */
async function parse(args: readonly string[], json = false) {
  const { terminal, stdout, stderr } = fakeTerminal();
  terminal.json = json;
  const signal = new AbortController().signal;
  const program = createProgram({ terminal, signal, exit: () => {} });
  const error = await program.parseAsync([...args], { from: 'user' }).then(
    () => new Error('it was accepted'),
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(CommanderError);
  return { exitCode: (error as CommanderError).exitCode, stdout: stdout(), stderr: stderr() };
}

describe('orchestrator-cli --help', () => {
  it.each([
    ['--help'],
    ['help', 'chat'],
    ...['dev', 'serve', 'demo', 'chat', 'run', 'ingest', 'tasks', 'sessions'].map((name) => [name, '--help']),
    ...['queues', 'tenants', 'dlq', 'tail'].map((name) => [name, '--help']),
    ...['list', 'inspect'].map((name) => ['queues', name, '--help']),
    ...['list', 'pause', 'resume', 'set'].map((name) => ['tenants', name, '--help']),
    ...['list', 'show', 'redrive'].map((name) => ['dlq', name, '--help']),
    ...['completion', 'version', 'help', 'status', 'workers'].map((name) => [name, '--help']),
    ['help', 'tasks', 'signal'],
    ...['list', 'show', 'why', 'cancel', 'tail'].map((name) => ['tasks', name, '--help']),
    ...['list', 'show'].map((name) => ['sessions', name, '-h']),
  ])('prints the help of %s %s %s', async (...args) => {
    const { exitCode, stdout, stderr } = await parse(args.filter((arg) => arg !== undefined));
    expect([exitCode, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^Usage: orchestrator-cli/);
    for (const flag of ['--json', '--config', '--url']) expect(stdout).toContain(flag);
  });
});

describe('wrong usage of orchestrator-cli exits with 2 and one line', () => {
  it.each<[string[], string]>([
    [['chta'], "unknown command 'chta' (did you mean chat?)"],
    [['chat', '--jsno', 'hi'], "unknown option '--jsno' (did you mean --json?)"],
    [['chat', '--sesion', 'x', 'hi'], "unknown option '--sesion' (did you mean --session?)"],
    [['tasks', 'lsit'], "unknown command 'lsit' (did you mean list?)"],
    [['tasks', 'show'], "missing required argument 'task-id'"],
    [['tasks', 'show', 'a', 'b'], "too many arguments for 'show'. Expected 1 argument but got 2"],
    [['tasks', 'list', '--limit'], "option '-n, --limit <count>' argument missing"],
    [['sessions', 'list', 'extra'], "too many arguments for 'list'. Expected 0 arguments but got 1"],
    [['ingest'], "missing required argument 'paths'"],
    [['run'], "missing required argument 'workflow-or-plan.json'"],
    [['dev', 'extra'], "too many arguments for 'dev'. Expected 0 arguments but got 1"],
    [['dev', '--once'], "unknown option '--once'"],
    [
      ['completion', 'fish'],
      "command-argument value 'fish' is invalid for argument 'shell'. Allowed choices are bash, zsh",
    ],
    [['--url'], "option '--url <url>' argument missing"],
  ])('for %j', async (args, message) => {
    expect(await parse(args)).toMatchObject({
      stdout: '',
      stderr: `error: ${message}; --help says more\n`,
    });
    const { stderr } = await parse(args, true);
    expect(JSON.parse(stderr)).toEqual({
      error: { code: 'invalid_request', message: `${message}; --help says more` },
    });
  });
});

it('help of an unknown command exits with 2', async () => {
  const message = "unknown command 'tasks nope'; --help says more";
  const people = await parse(['help', 'tasks', 'nope']);
  expect(people).toMatchObject({ stdout: '', stderr: `error: ${message}\n` });
  const { stderr } = await parse(['--json', 'help', 'tasks', 'nope']);
  expect(JSON.parse(stderr)).toEqual({ error: { code: 'invalid_request', message } });
});
