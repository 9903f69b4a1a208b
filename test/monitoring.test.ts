import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Orchestrator } from '@agent-orchestrator/core';
import { createIdentities, OrchestratorServer } from '@agent-orchestrator/ws-server';
import { expect, it } from 'vitest';

const FOLDER = fileURLToPath(new URL('../deploy/monitoring/', import.meta.url));
const METRIC = /\b(?:orchestrator|nodejs|process)_[a-z0-9_]+/g;

/** Names of the metrics of a server whose orchestrator has a worker; those of a histogram with their endings. */
async function servedNames(): Promise<ReadonlySet<string>> {
  const server = new OrchestratorServer(new Orchestrator(), { identities: createIdentities({}) });
  await using running = await server.listen(0);
  const text = await (await fetch(`${running.url}/metrics`)).text();
  const names = new Set<string>();
  for (const [, name = '', type] of text.matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
    if (type !== 'histogram') names.add(name);
    else for (const end of ['bucket', 'sum', 'count']) names.add(`${name}_${end}`);
  }
  return names;
}

it.each(['alerts.yml', 'dashboard.json'])('%s uses metrics that a server has', async (file) => {
  const names = await servedNames();
  const used = new Set((await readFile(FOLDER + file, 'utf8')).match(METRIC));
  expect(used.size).toBeGreaterThan(10);
  expect([...used].filter((name) => !names.has(name))).toEqual([]);
});

it('the documentation lists every metric, and no other', async () => {
  const names = await servedNames();
  const own = [...names]
    .map((name) => name.replace(/_(?:bucket|sum|count)$/, ''))
    .filter((name) => name.startsWith('orchestrator_'));
  const docs = await readFile(new URL('../docs/operating.md', import.meta.url), 'utf8');
  const table = docs
    .split('\n')
    .filter((line) => line.startsWith('| `orchestrator_'))
    .join('\n');
  expect(new Set(table.match(/\borchestrator_[a-z0-9_]+/g))).toEqual(new Set(own));
});

it('the board is what its program makes', async () => {
  await promisify(execFile)(process.execPath, [`${FOLDER}make-board.mjs`, '--check']);
});
