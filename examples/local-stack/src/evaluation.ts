import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cutText, parseJson, validate, listSchema } from '@agent-orchestrator/core/protocol';
import { z } from 'zod';
import { mediaTypeOf } from './ingestion/media-type.js';

const citedSchema = z.object({
  id: z.string(),
  question: z.string(),
  /** File with the answer, relative to the root of the repository. */
  source: z.string(),
  /** Text that a cited passage must contain; case-insensitive. */
  expect: z.string(),
});
const toolSchema = z.object({ id: z.string(), question: z.string(), expect: z.string() });
const unanswerableSchema = z.object({ id: z.string(), question: z.string() });
const questionsSchema = z.object({
  documents: listSchema(z.string(), { max: 1_000 }),
  /** On documents of other projects. */
  unseen: listSchema(citedSchema, { max: 1_000 }),
  /** On the documentation of this repository. */
  own: listSchema(citedSchema, { max: 1_000 }),
  tools: listSchema(toolSchema, { max: 1_000 }),
  unanswerable: listSchema(unanswerableSchema, { max: 1_000 }),
  /** Mostly on documents of no other question; reported apart, without effect on the exit code. */
  held_out: z.object({
    cited: listSchema(citedSchema, { max: 1_000 }),
    unanswerable: listSchema(unanswerableSchema, { max: 1_000 }),
  }),
});
/** Documents and questions of the evaluation. */
export type EvaluationQuestions = z.output<typeof questionsSchema>;

/** The system under evaluation: answers a question. */
export type Ask = (question: string) => Promise<{
  readonly content: string;
  readonly sources?: readonly { readonly title: string; readonly quote: string }[];
  readonly steps?: readonly unknown[];
}>;

/** Part of the evaluation that a question belongs to. */
export type EvaluationPart =
  | 'cited'
  | 'tools'
  | 'unanswerable'
  | 'held out, cited'
  | 'held out, unanswerable';

/** Outcome of one question. */
export interface EvaluationRow {
  readonly part: EvaluationPart;
  readonly id: string;
  readonly question: string;
  readonly passed: boolean;
  /** Titles of the citations, or the beginning of the answer. */
  readonly got: string;
}

/** Required number of passed questions. */
const NEEDED: Readonly<Partial<Record<EvaluationPart, number>>> = {
  cited: 14,
  tools: 5,
  unanswerable: 3,
};

/** Reads `eval/questions.json`. */
export async function readQuestions(path: string): Promise<EvaluationQuestions> {
  return validate(questionsSchema, parseJson(await readFile(path, 'utf8')), path);
}

/** Documents to ingest: the listed files, and the documentation of this repository if present. */
export async function readDocuments(root: string, questions: EvaluationQuestions) {
  const own = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', ...(await markdownUnder(root, 'docs'))];
  const documents: { name: string; media_type: string; content: string }[] = [];
  for (const name of [...questions.documents, ...own]) {
    const content = await readFile(join(root, name), 'utf8').catch(() => undefined);
    const media_type = mediaTypeOf(name);
    if (content !== undefined && media_type !== undefined) documents.push({ name, media_type, content });
  }
  return documents;
}

/** Asks every question, sequentially. */
export async function evaluate(questions: EvaluationQuestions, ask: Ask): Promise<EvaluationRow[]> {
  const { unseen, own, tools, unanswerable, held_out } = questions;
  const rows: EvaluationRow[] = [];
  for (const question of [...unseen, ...own]) rows.push(await cites('cited', question, ask));
  for (const { id, question, expect } of tools) {
    const { content } = await ask(question);
    rows.push({ part: 'tools', id, question, passed: has(content, expect), got: beginning(content) });
  }
  for (const question of unanswerable) rows.push(await declines('unanswerable', question, ask));
  for (const question of held_out.cited) rows.push(await cites('held out, cited', question, ask));
  for (const question of held_out.unanswerable)
    rows.push(await declines('held out, unanswerable', question, ask));
  return rows;
}

async function cites(
  part: EvaluationPart,
  { id, question, source, expect }: z.output<typeof citedSchema>,
  ask: Ask,
): Promise<EvaluationRow> {
  const { content, sources = [] } = await ask(question);
  const passed = sources.some(({ title, quote }) => title.startsWith(source) && has(quote, expect));
  const got = sources.length > 0 ? sources.map(({ title }) => title).join(' | ') : beginning(content);
  return { part, id, question, passed, got };
}

async function declines(
  part: EvaluationPart,
  { id, question }: z.output<typeof unanswerableSchema>,
  ask: Ask,
): Promise<EvaluationRow> {
  const { content, sources = [] } = await ask(question);
  const got = sources.map(({ title }) => title).join(' | ') || beginning(content);
  return { part, id, question, passed: sources.length === 0 && /did not find/i.test(content), got };
}

/** `cited 17/20`, …, in the order of the parts. */
export function statsOf(
  rows: readonly EvaluationRow[],
): { part: EvaluationPart; passed: number; asked: number }[] {
  const parts = [...new Set(rows.map(({ part }) => part))];
  return parts.map((part) => {
    const asked = rows.filter((row) => row.part === part);
    return { part, passed: asked.filter(({ passed }) => passed).length, asked: asked.length };
  });
}

/** Whether the required scores are reached; held-out questions do not count. */
export function isGoodEnough(rows: readonly EvaluationRow[]): boolean {
  const stats = statsOf(rows);
  return Object.entries(NEEDED).every(
    ([part, needed]) => (stats.find((figure) => figure.part === part)?.passed ?? 0) >= needed,
  );
}

/** The table and the scores, as lines. */
export function formatEvaluation(rows: readonly EvaluationRow[]): string {
  const table = rows.map(
    ({ part, id, passed, got }) =>
      `${passed ? 'ok  ' : 'FAIL'}  ${part.padEnd(22)}  ${id.padEnd(24)}  ${got}`,
  );
  const stats = statsOf(rows).map(({ part, passed, asked }) => `${part} ${passed}/${asked}`);
  return [...table, '', stats.join(', ')].join('\n');
}

/**
 * Runs the evaluation and prints it.
 *
 * @returns exit code: 0 if the required scores are reached, else 1.
 */
export async function runEvaluation(
  questions: EvaluationQuestions,
  ask: Ask,
  print: (text: string) => void = console.log,
): Promise<0 | 1> {
  const rows = await evaluate(questions, ask);
  print(formatEvaluation(rows));
  return isGoodEnough(rows) ? 0 : 1;
}

async function markdownUnder(root: string, folder: string): Promise<string[]> {
  const entries = await readdir(join(root, folder), { recursive: true }).catch(() => []);
  return entries
    .filter((name) => name.endsWith('.md'))
    .map((name) => `${folder}/${name.replaceAll('\\', '/')}`)
    .toSorted();
}

function has(text: string, part: string): boolean {
  const plain = (value: string) => value.toLowerCase().replaceAll(/\s+/g, ' ');
  return plain(text).includes(plain(part));
}

function beginning(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ');
  return cutText(line, 90, '…');
}
