import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cli, CliProcess, folder, records, startServer } from './cli-process.js';

const WORKFLOW = (amount: string) => `
export default {
  workflows: {
    bill: async (ctx, { customer }) => {
      const price = await ctx.run('price', () => ({ customer }));
      ${amount}
      return ctx.run('charge', () => 'charged');
    },
  },
};
`;
const FAULTY = WORKFLOW("if (price.amount === undefined) throw new Error('no amount');");
const MENDED = WORKFLOW('price.amount ??= 10;');

describe('a recorded run that failed', () => {
  it('is replayed with the same code, and with changed code, which names the departing step', async () => {
    await using place = await folder();
    await writeFile(join(place.path, 'orchestrator.config.mjs'), FAULTY);
    await writeFile(join(place.path, 'mended.mjs'), MENDED);
    await using dev = await startServer(['dev'], { cwd: place.path });
    const at = { cwd: place.path };
    const failed = await cli(['run', 'bill', '--input', '{"customer":"c1"}', '--json'], at);
    expect(failed.code).toBe(1);
    const task = records(failed.stdout).at(-1) as { readonly task_id: string };
    const exported = await cli(['tasks', 'export', task.task_id, '-o', 'run.json'], at);
    expect(exported).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('1 step of a task of type "bill"'),
    });
    expect(JSON.parse(await readFile(join(place.path, 'run.json'), 'utf8'))).toMatchObject({
      format: 'agent-orchestrator.run',
      task: { status: 'failed', payload: { customer: 'c1' } },
      steps: [{ key: 'run price:1', outcome: { ok: true, value: { customer: 'c1' } } }],
    });
    const same = await cli(['replay', 'run.json', '--workflows', 'orchestrator.config.mjs'], at);
    expect(same).toMatchObject({ code: 0, stdout: 'as recorded: 1 of 1 recorded step\n' });
    const changed = await cli(['replay', 'run.json', '--workflows', 'mended.mjs', '--json'], at);
    expect(changed.code).toBe(1);
    expect(records(changed.stdout)).toMatchObject([{ replayed: 1, departure: { step: 'run charge' } }]);
    const spoken = await cli(['replay', 'run.json', '--workflows', 'mended.mjs'], at);
    expect(spoken.stdout).toMatch(
      /^departs at the step "run charge" \(run charge:1\)\n {2}expected the recorded failure/,
    );
    await writeFile(
      join(place.path, 'endless.mjs'),
      WORKFLOW("process.stderr.write('turning'); for (;;) await null;"),
    );
    await using endless = new CliProcess(['replay', 'run.json', '--workflows', 'endless.mjs'], at);
    await endless.printed('stderr', /turning/);
    // It gives no handler of a signal a turn.
    endless.kill('SIGTERM');
    expect((await endless.ended).code).toBeNull();
    await writeFile(join(place.path, 'silent.mjs'), WORKFLOW('await new Promise(() => {});'));
    const silent = await cli(['replay', 'run.json', '--workflows', 'silent.mjs'], at);
    expect(silent).toMatchObject({ code: 1, stdout: expect.stringContaining('got nothing for') as string });
    expect(dev.url).toMatch(/^http/);
  });

  it.each<[string[], number, RegExp]>([
    [
      ['replay', 'nowhere.json', '--workflows', 'x.mjs'],
      2,
      /nowhere\.json: expected a file, got nothing there/,
    ],
    [['replay', 'text.json', '--workflows', 'x.mjs'], 2, /text\.json: expected JSON/],
    [['replay', 'other.json', '--workflows', 'x.mjs'], 2, /recording/],
    [['replay', 'other.json'], 2, /--workflows/],
  ])('%j is refused with what was expected', async (args, code, message) => {
    await using place = await folder();
    await writeFile(join(place.path, 'text.json'), 'text');
    await writeFile(join(place.path, 'other.json'), '{"format":"other"}');
    const ended = await cli(args, { cwd: place.path });
    expect(ended.stderr).toMatch(message);
    expect(ended.code).toBe(code);
  });
});
