import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cli, CliProcess, folder } from './cli-process.js';

const LAMP = `# Lamp

## Night mode

Night mode dims the lamp at ten in the evening.

To turn night mode off, press the moon key twice.
`;

/** Whether a process with this id is there. */
function runs(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe('orchestrator-cli dev --split', () => {
  it('restarts a killed query service, and leaves no process behind', async () => {
    await using place = await folder();
    await writeFile(join(place.path, 'lamp.md'), LAMP);
    const flags = ['--split', '--port', '0'];
    await using dev = new CliProcess(['dev', ...flags], {
      cwd: place.path,
      keepInput: true,
      hangsMs: 80_000,
    });
    await dev.printed('stderr', /Ctrl-C ends it/);
    const started = [...dev.stderr.matchAll(/^(\w+) runs at \S+, process (\d+)$/gm)];
    const pids = new Map(started.map(([, name = '', pid]) => [name, Number(pid)]));
    expect([...pids.keys()].toSorted()).toEqual([
      'agent_execution',
      'agent_management',
      'conversation',
      'embedding',
      'ingestion',
      'query',
      'tool_registry',
      'workflow_engine',
    ]);
    // Commands in this folder find it by themselves.
    expect(await cli(['ingest', 'lamp.md'], { cwd: place.path })).toMatchObject({ code: 0 });

    // It takes the call in, and never answers it.
    process.kill(pids.get('query') ?? 0, 'SIGSTOP');
    await using chat = new CliProcess(['chat', 'What does night mode do?'], {
      cwd: place.path,
      hangsMs: 60_000,
    });
    await chat.printed('stderr', /created: query/);
    process.kill(pids.get('query') ?? 0, 'SIGKILL');
    const [, again] = await dev.printed(
      'stderr',
      /query has ended \(SIGKILL\)[^]*query runs at \S+, process (\d+)/,
    );
    pids.set('query', Number(again));
    const { code, stdout } = await chat.ended;
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining('dims the lamp') });

    dev.kill('SIGINT');
    expect(await dev.ended).toMatchObject({ code: 0 });
    expect([...pids.values()].filter(runs)).toEqual([]);
  }, 90_000);

  it('has the documents of a run that was killed, whose services were still ending', async () => {
    await using place = await folder();
    await writeFile(join(place.path, 'lamp.md'), LAMP);
    const start = async () => {
      const options = { cwd: place.path, keepInput: true, hangsMs: 80_000 };
      const dev = new CliProcess(['dev', '--split', '--port', '0'], options);
      await dev.printed('stderr', /Ctrl-C ends it/);
      return dev;
    };
    {
      await using first = await start();
      expect(await cli(['ingest', 'lamp.md'], { cwd: place.path })).toMatchObject({ code: 0 });
      first.kill('SIGKILL');
      await first.ended;
    }
    await using second = await start();
    const chat = ['chat', 'What does night mode do?'];
    const { code, stdout } = await cli(chat, { cwd: place.path, hangsMs: 60_000 });
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining('dims the lamp') });
    second.kill('SIGINT');
    expect(await second.ended).toMatchObject({ code: 0 });
  }, 180_000);
});
