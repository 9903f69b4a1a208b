import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Orchestrator } from '@agent-orchestrator/core';
import { findPromtool, freePort } from '@agent-orchestrator/test-servers';
import { createIdentities, OrchestratorServer } from '@agent-orchestrator/ws-server';
import { expect, it, onTestFinished } from 'vitest';

const FOLDER = fileURLToPath(new URL('../deploy/monitoring/', import.meta.url));

it('the rules are valid, and fire when they should', async () => {
  const promtool = await findPromtool();
  const run = promisify(execFile);
  for (const args of [
    ['check', 'config', 'prometheus.yml'],
    ['test', 'rules', 'alerts.test.yml'],
  ])
    expect((await run(promtool, args, { cwd: FOLDER })).stdout).toContain('SUCCESS');
});

it('every rule has a test', async () => {
  const promtool = await findPromtool();
  const { stdout } = await promisify(execFile)(promtool, ['check', 'rules', `${FOLDER}alerts.yml`]);
  const names = [...(await readFile(`${FOLDER}alerts.yml`, 'utf8')).matchAll(/alert: (\w+)/g)].map(
    ([, name]) => name,
  );
  expect(stdout).toContain(`${names.length} rules found`);
  const tests = await readFile(`${FOLDER}alerts.test.yml`, 'utf8');
  const tested = new Set([...tests.matchAll(/alertname: (\w+)/g)].map(([, name]) => name));
  expect([...tested].toSorted()).toEqual(names.toSorted());
});

it('Prometheus scrapes a server, and evaluates the rules', async () => {
  const promtool = await findPromtool();
  const folder = await mkdtemp(join(tmpdir(), 'agent-orchestrator-prometheus-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const server = new OrchestratorServer(new Orchestrator(), { identities: createIdentities({}) });
  await using running = await server.listen(0);
  const config = `
global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: ['${FOLDER}alerts.yml']
scrape_configs:
  - job_name: agent-orchestrator
    static_configs: [{ targets: ['${new URL(running.url).host}'] }]
`;
  await writeFile(join(folder, 'prometheus.yml'), config);
  const port = await freePort();
  const prometheus = spawn(
    join(dirname(promtool), 'prometheus'),
    [
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: 'ignore' },
  );
  onTestFinished(async () => {
    prometheus.kill('SIGKILL');
    if (prometheus.exitCode === null) await once(prometheus, 'exit');
  });
  const ask = async (path: string) => {
    const answer = await fetch(`http://127.0.0.1:${port}/api/v1/${path}`).catch(() => undefined);
    return answer?.ok === true ? ((await answer.json()) as { readonly data: unknown }).data : undefined;
  };
  await expect
    .poll(() => ask('query?query=orchestrator_info'), { timeout: 60_000, interval: 200 })
    .toMatchObject({
      result: [{ metric: { job: 'agent-orchestrator', role: 'all' }, value: [expect.any(Number), '1'] }],
    });
  const health = async () => {
    const data = (await ask('rules')) as { groups: { rules: { health: string }[] }[] } | undefined;
    return [...new Set(data?.groups.flatMap(({ rules }) => rules.map((rule) => rule.health)))];
  };
  await expect.poll(health, { timeout: 60_000, interval: 200 }).toEqual(['ok']);
});
