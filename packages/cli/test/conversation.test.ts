import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect } from '../src/client/connection.js';
import { Conversation } from '../src/commands/conversation.js';
import { cli, type Folder, folder, type RunningServer, startServer } from './cli-process.js';
import { fakeTerminal } from './fake-terminal.js';
import { Screen } from './screen.js';
import { type SlowModel, slowModel } from './slow-model.js';

const QUESTION = 'What colour does the widget have?';
const CTRL_C = '\u0003';
const CTRL_D = '\u0004';

let place: Folder;
let model: SlowModel;
let dev: RunningServer;

beforeAll(async () => {
  place = await folder();
  model = await slowModel();
  await writeFile(join(place.path, 'widget.md'), '# Widget\n\nThe widget has the colour blue.\n');
  dev = await startServer(['dev'], { env: { ORCHESTRATOR_LLM_URL: model.url } });
  expect(await cli(['ingest', 'widget.md'], { cwd: place.path, env: dev.env })).toMatchObject({ code: 0 });
});
afterAll(async () => {
  await dev[Symbol.asyncDispose]();
  await model[Symbol.asyncDispose]();
  await place[Symbol.asyncDispose]();
});

/** A conversation with typed input. `screen`: what it is seen on. */
async function typing(screen?: Screen) {
  const fake = fakeTerminal({ tty: true, env: { NO_COLOR: '1' }, screen });
  const interrupt = new AbortController();
  const codes: number[] = [];
  const context = {
    terminal: fake.terminal,
    signal: interrupt.signal,
    exit: (code: number) => void codes.push(code),
  };
  const { ORCHESTRATOR_URL: url, ORCHESTRATOR_API_KEY: apiKey } = dev.env;
  const connection = await connect({ url, apiKey }, place.path);
  const options = { session: undefined, agent: undefined, quiet: undefined };
  const ended = new Conversation(context, connection, options).hold();
  const greeting = /a new conversation at .*\/new begins another session/;
  await (screen ? screen.shows(greeting) : fake.said(greeting));
  return { ...fake, ended, codes, interrupt, type: (text: string) => void fake.stdin.write(text) };
}

describe('a chat conversation on a terminal', () => {
  it('Ctrl-C cancels the answer and keeps the session; Ctrl-D ends it', async () => {
    const { type, said, ended, codes, stdout } = await typing();
    type(`${QUESTION}\n`);
    await said(/The first words/);
    type(CTRL_C);
    await said(/cancelled\n/);
    await model.hungUp;
    type('/history\n/what\n');
    await said(/\/what is unknown/);
    expect(stdout()).toBe(`user: ${QUESTION}\n`);
    type(CTRL_D);
    await ended;
    expect(codes).toEqual([]);
  });

  it('keeps an answer whole while the terminal is resized, or keys are typed', async () => {
    const screen = new Screen({ columns: 80, folds: true });
    const { type, ended } = await typing(screen);
    type(`${QUESTION}\n`);
    await screen.shows(/The first words/);
    screen.resize(60);
    type('/wat\u007F\u007F');
    screen.resize(100);
    expect(screen.lines.join('\n')).toMatch(/The first words/);
    type('\n');
    type(CTRL_C);
    await screen.shows(/cancelled\n> \/w\n.*\/w is unknown/);
    expect(screen.lines.join('\n')).toMatch(/The first words/);
    type(CTRL_D);
    await ended;
  });

  it('Ctrl-C at the prompt exits with 130', async () => {
    const { type, ended, codes } = await typing();
    type(CTRL_C);
    await ended;
    expect(codes).toContain(130);
  });

  it('a signal ends it, also in the middle of an answer', async () => {
    const { type, said, ended, codes, interrupt } = await typing();
    type(`${QUESTION}\n`);
    await said(/The first words/);
    interrupt.abort();
    await ended;
    expect(codes).toContain(130);
  });

  it('/new begins another session, /quit ends it', async () => {
    const { type, said, ended, stdout } = await typing();
    type('hello there\n/new\n/history\n');
    await said(/no messages yet/);
    type('/quit\n');
    await ended;
    expect(stdout()).not.toContain('user:');
  });
});
