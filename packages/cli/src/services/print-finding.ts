import { printable, type Terminal } from '../terminal/terminal.js';
import type { Finding } from './check.js';
import type { CheckResult } from './run-checks.js';

const WORDS = { ok: 'ok', warning: 'warning', failed: 'FAILED', skipped: 'skipped' } as const;
const COLOURS = { ok: 'green', warning: 'yellow', failed: 'red', skipped: 'dim' } as const;
const GUIDE = 'docs/writing-a-service.md';

/** Link to the section of the guide about a check. */
function guideTo({ check }: CheckResult): string {
  return `${GUIDE}#${check.section}`;
}

/** A result as a line, with explanations for a bad one. `width`: that of the longest name. */
export function findingLines(result: CheckResult, width: number, terminal: Terminal): string[] {
  const { check, finding } = result;
  const word = terminal.paint(COLOURS[finding.verdict], WORDS[finding.verdict].padEnd(7));
  const note = noteOf(finding);
  const about = finding.verdict === 'skipped' ? note : check.about + (note === '' ? '' : `: ${note}`);
  const line = `${word}  ${check.name.padEnd(width)}  ${inOneLine(about)}`;
  if (finding.verdict === 'warning') return [line, `           see ${guideTo(result)}`];
  if (finding.verdict !== 'failed') return [line];
  return [
    line,
    `           expected ${inOneLine(finding.expected)}`,
    `           got ${inOneLine(finding.got)}`,
    `           see ${guideTo(result)}`,
  ];
}

/** A result for programs. */
export function findingRecord(result: CheckResult): object {
  const { check, finding } = result;
  const { verdict, ...found } = finding;
  return { check: check.name, verdict, about: check.about, ...found, see: guideTo(result) };
}

/** Number of results of each kind. */
export function summary(results: readonly CheckResult[]): string {
  const counts = Object.keys(WORDS).map((verdict) => {
    const count = results.filter(({ finding }) => finding.verdict === verdict).length;
    return verdict === 'warning' && count !== 1 ? `${count} warnings` : `${count} ${verdict}`;
  });
  return counts.join(', ');
}

function noteOf(finding: Finding): string {
  return 'note' in finding ? (finding.note ?? '') : '';
}

/** The text comes from the service: anything is possible. */
function inOneLine(text: string): string {
  return printable(text).replaceAll(/\s*\n\s*/g, ' ');
}
