import type { Finding } from '../src/services/check.js';
import { CHECKS } from '../src/services/all-checks.js';
import { CheckHub } from '../src/services/check-hub.js';
import type { CheckLimits } from '../src/services/check-limits.js';
import { runChecks } from '../src/services/run-checks.js';
import { Subject } from '../src/services/subject.js';
import { FlawedService, type Flaws } from './flawed-service.js';

export const TOKEN = 'token-of-the-service';
/** Only `downMs` and `watchMs` are waited for; what is late by one of the others hangs. */
export const LIMITS: CheckLimits = {
  reachMs: 50,
  answerMs: 60_000,
  silenceMs: 60_000,
  jobMs: 90_000,
  connectMs: 60_000,
  pongMs: 60_000,
  againMs: 60_000,
  downMs: 300,
  watchMs: 300,
};
/** What a job that is to be cancelled must not end before. */
const STEPS_TO_CANCEL = 3_000;
const STEPS = 3;

export interface Asked {
  readonly operation?: string;
  readonly name?: string;
  readonly limits?: Partial<CheckLimits>;
}

/** Flaws of a service, some of which show in one check only. */
export type FlawsIn = Flaws | ((isIn: (check: string) => boolean) => Flaws);

/** What the checks find, by name. */
export async function findings(flaws: FlawsIn, { operation = 'work', name, limits }: Asked = {}) {
  const input = { n: 1 };
  const hub = await CheckHub.start({ port: 0, host: '127.0.0.1', token: TOKEN, name, operation, input });
  const found = new Map<string, Finding>();
  let running = '';
  const isIn = (check: string) => check === running;
  const checks = CHECKS.map((check) => ({
    ...check,
    run(subject: Subject) {
      running = check.name;
      return check.run(subject);
    },
  }));
  try {
    await using service = await FlawedService.start({
      hubUrl: hub.front.url,
      token: TOKEN,
      flaws: {
        steps: () => (isIn('cancel') ? STEPS_TO_CANCEL : STEPS),
        ...(typeof flaws === 'function' ? flaws(isIn) : flaws),
      },
    });
    const subject = new Subject(
      {
        url: service.url,
        operation,
        input,
        badInput: { n: 'one' },
        token: TOKEN,
        limits: { ...LIMITS, ...limits },
        signal: new AbortController().signal,
      },
      hub,
    );
    for await (const { check, finding } of runChecks(subject, checks)) found.set(check.name, finding);
  } finally {
    await hub.stop();
  }
  return found;
}

export function named(found: ReadonlyMap<string, Finding>, verdict: Finding['verdict']) {
  return [...found].flatMap(([name, finding]) => (finding.verdict === verdict ? [name] : []));
}
