import { OrchestratorError } from '@agent-orchestrator/core';
import { idSchema, nameSchema, validate } from '@agent-orchestrator/core/protocol';
import { jsonOfFlag } from '../documents/json-file.js';
import { ConfigurationError, EXIT, UsageError } from '../errors/errors.js';
import { CHECKS } from '../services/all-checks.js';
import { CheckHub } from '../services/check-hub.js';
import { type CheckLimits, LIMITS } from '../services/check-limits.js';
import { REACHABLE } from '../services/checks/answer-checks.js';
import { findingLines, findingRecord, summary } from '../services/print-finding.js';
import { type CheckResult, runChecks } from '../services/run-checks.js';
import { Subject } from '../services/subject.js';
import type { SettingFlags } from '../settings/settings.js';
import type { CommandContext } from './command-context.js';

export interface CheckFlags extends SettingFlags {
  readonly operation: string;
  readonly input?: string;
  readonly badInput?: string;
  readonly name?: string;
  readonly timeout?: string;
  readonly listen?: string;
}

const DEFAULT_PORT = '8000';
const DEFAULT_HOST = '127.0.0.1';
const MAX_TIMEOUT_S = 3_600;
const TOKEN = /^[\x21-\x7e]{8,1024}$/;

export async function check(context: CommandContext, url: string, flags: CheckFlags): Promise<void> {
  const { terminal, signal } = context;
  const asked = await readFlags(context, url, flags);
  const limits = { ...LIMITS, ...asked.limits };
  const hub = await CheckHub.start(asked);
  const results: CheckResult[] = [];
  try {
    terminal.talk(
      `listening as an orchestrator; point the service at it, e.g. ORCHESTRATOR_URL=${hub.front.url}`,
    );
    const width = Math.max(...CHECKS.map(({ name }) => name.length));
    const subject = new Subject({ ...asked, limits, signal }, hub);
    for await (const result of runChecks(subject)) {
      results.push(result);
      if (terminal.json) terminal.record(findingRecord(result));
      else for (const line of findingLines(result, width, terminal)) terminal.data(line);
    }
    terminal.talk(summary(results));
    if (subject.watch.isGone) throw goneError(url, results);
  } finally {
    await hub.stop();
  }
  const bad = results
    .filter(({ finding }) => finding.verdict === 'failed')
    .map(({ check: { name } }) => name);
  if (bad.includes(REACHABLE)) context.exit(EXIT.unreachable);
  else if (bad.length > 0) context.exit(EXIT.taskFailed);
}

/** The last failed check is the one during which the service disappeared. */
function goneError(url: string, results: readonly CheckResult[]): OrchestratorError {
  const last = results.findLast(({ finding }) => finding.verdict === 'failed');
  return new OrchestratorError(
    'service_unavailable',
    `expected a service that goes on listening at ${url}, got no connection since the check "${last?.check.name}": the service has ended; see what it logged`,
  );
}

async function readFlags({ terminal }: CommandContext, url: string, flags: CheckFlags) {
  const { host = DEFAULT_HOST, listen = DEFAULT_PORT, name, badInput } = flags;
  if (flags.url !== undefined) {
    throw new UsageError('expected the URL of the service as the argument, got --url');
  }
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    throw new UsageError(`url: expected an http or https URL, got ${JSON.stringify(url)}`);
  }
  if (!/^\d{1,5}$/.test(listen) || Number(listen) > 65_535) {
    throw new UsageError(`--listen: expected a port, 0 to 65535, got ${JSON.stringify(listen)}`);
  }
  const json = (text: string, flag: string) => jsonOfFlag(terminal.cwd, text, flag);
  return {
    url,
    operation: validate(nameSchema, flags.operation, '--operation'),
    input: await json(flags.input ?? '{}', '--input'),
    badInput: badInput === undefined ? undefined : await json(badInput, '--bad-input'),
    name: name === undefined ? undefined : validate(idSchema, name, '--name'),
    token: readToken(terminal.env),
    limits: readTimeout(flags.timeout),
    port: Number(listen),
    host,
  };
}

/** The value is not repeated: it may be a mistyped token. */
function readToken(env: Readonly<Record<string, string | undefined>>): string {
  const token = env['SERVICE_TOKEN'];
  if (token && TOKEN.test(token)) return token;
  const got = token ? 'something else' : 'nothing';
  throw new ConfigurationError(`SERVICE_TOKEN: expected 8 to 1024 visible ASCII characters, got ${got}`);
}

function readTimeout(text: string | undefined): Partial<CheckLimits> {
  if (text === undefined) return {};
  const seconds = Number(text);
  if (!(seconds > 0 && seconds <= MAX_TIMEOUT_S)) {
    throw new UsageError(`--timeout: expected seconds, up to ${MAX_TIMEOUT_S}, got ${JSON.stringify(text)}`);
  }
  return { answerMs: seconds * 1_000, silenceMs: seconds * 1_000 };
}
