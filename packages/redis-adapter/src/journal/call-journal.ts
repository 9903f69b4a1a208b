import { createHash } from 'node:crypto';
import { type TaskError, type Usage } from '@agent-orchestrator/core';
import { writeJson, fieldText } from '@agent-orchestrator/core/protocol';
import {
  type CallJournal,
  type JournalChanges,
  type JournalStep,
  type Report,
  type ReportAnswer,
  type StepAnswer,
  type StepOutcome,
  type StepRequest,
  type BeginStepParams,
  type BeginStepResult,
  type ChangesSinceParams,
  type ChangesSinceResult,
  type HeldReportParams,
  type ReadJournalParams,
  type ReadJournalResult,
  type RecordAnswerParams,
  type RecordAnswerResult,
  type RunOrigin,
} from '@agent-orchestrator/core/storage';
import type { RedisState } from '../scripts/tenant-steps.js';
import type { Reply } from '../scripts/script-runner.js';
import { errorText, type StoredStep, viewStep } from '../tasks/task-codec.js';

const LEASE_LOST = { answer: 'lease_lost' } as const;

/** Seed, start, version and inherited revision. */
type OriginReply = readonly [string | null, number | null, number | null, number];

function readOrigin(taskId: string, [seed, startedAt, version, inherited]: OriginReply): RunOrigin {
  return {
    seed: seed ?? taskId,
    ...(startedAt !== null && { startedAt }),
    ...(version !== null && { version }),
    inherited,
  };
}

export class RedisCallJournal implements CallJournal {
  constructor(private readonly state: RedisState) {}

  async begin(params: BeginStepParams): Promise<BeginStepResult> {
    const { tenantId, taskId, token, journalRev, step, maxSteps } = params;
    const request = { id: taskId, token, journal_rev: journalRev, max_steps: maxSteps, ...stepRequest(step) };
    const reply = await this.state.change(tenantId, 'begin', JSON.stringify(request));
    const [answer, stepText, outcome, changes] = reply as [string, string, string | null, Reply];
    if (answer === 'lease_lost') return LEASE_LOST;
    if (answer === 'too_many_steps') return { answer };
    const begun = viewStep(JSON.parse(stepText) as StoredStep, outcome, failuresIn(changes));
    return { answer: answer as 'begun' | 'known', step: begun, ...readChanges(changes) };
  }

  async record(params: RecordAnswerParams): Promise<RecordAnswerResult> {
    const { tenantId, taskId, token, journalRev, key, callId, answer, create } = params;
    const request = {
      id: taskId,
      token,
      journal_rev: journalRev,
      key,
      call: callId,
      answer: answerOf(answer),
      create: create && { name: create.name, max_steps: create.maxSteps },
    };
    const result = answer.kind === 'outcome' ? resultText(answer.outcome) : '';
    const reply = await this.state.change(tenantId, 'record', JSON.stringify(request), result);
    const [word, more] = reply as
      | ['recorded' | 'known', Reply]
      | ['step_mismatch', string]
      | ['lease_lost' | 'too_many_steps', null?];
    if (word === 'step_mismatch') return { answer: word, name: more };
    return word === 'recorded' || word === 'known'
      ? { answer: word, ...readChanges(more) }
      : { answer: word };
  }

  async changesSince({
    tenantId,
    taskId,
    token,
    journalRev,
  }: ChangesSinceParams): Promise<ChangesSinceResult> {
    const reply = await this.state.run(tenantId, 'changesSince', taskId, token, journalRev);
    return reply === null ? LEASE_LOST : { answer: 'changes', ...readChanges(reply) };
  }

  async read({ tenantId, taskId, token, after }: ReadJournalParams): Promise<ReadJournalResult> {
    const { pageBytes } = this.state.parts.limits;
    const reply = await this.state.run(tenantId, 'readJournal', taskId, token ?? '', after, pageBytes);
    if (reply === null) return token === undefined ? { answer: 'not_found' } : LEASE_LOST;
    const [flat, next, journalRev, failures, origin] = reply as [
      (string | null)[],
      number | null,
      number,
      number,
      OriginReply,
    ];
    return {
      answer: 'page',
      steps: readSteps(flat, failures),
      journalRev,
      ...(next !== null && { next }),
      ...(token === undefined && { origin: readOrigin(taskId, origin) }),
    };
  }

  async report(report: Report): Promise<ReportAnswer> {
    const request = reportText(report);
    const bytes = Buffer.byteLength(writeJson(report));
    const heldId = this.state.parts.random.uuid();
    const reply = await this.state.change(report.tenantId, 'report', request, bytes, heldId);
    const [answer, id] = reply as [ReportAnswer['answer'], string];
    if (answer === 'held') return { answer, heldId: id };
    if (answer === 'late') this.#publishLateReport(report, id);
    return answerAbout(answer, id);
  }

  #publishLateReport({ tenantId, service, jobId }: Report, taskId: string): void {
    const text = `${service} has reported on job ${jobId} of task ${taskId} when it had an outcome already`;
    const fields = { tenant: tenantId, task: taskId, service };
    this.state.parts.systemEvents.publish({ kind: 'late_outcome', text, fields });
  }

  async heldReport({ tenantId, heldId }: HeldReportParams): Promise<ReportAnswer> {
    const reply = await this.state.run(tenantId, 'heldReport', heldId);
    if (reply === null) return { answer: 'unknown_task' };
    const [answer, taskId] = reply as [ReportAnswer['answer'], string];
    return answer === 'held' ? { answer, heldId } : answerAbout(answer, taskId);
  }
}

function answerAbout(answer: Exclude<ReportAnswer['answer'], 'held'>, taskId: string): ReportAnswer {
  return answer === 'unknown_task' || answer === 'retry_later' ? { answer } : { answer, taskId };
}

function stepRequest({ key, kind, name, call, dueInMs, signal }: StepRequest) {
  return {
    key,
    kind,
    name,
    signal,
    due: dueInMs,
    ...(call && {
      call: {
        id: call.callId,
        service: call.service,
        operation: call.operation,
        tries: call.maxTries,
        delay: call.retryDelayMs,
        silence: call.silenceMs,
      },
    }),
  };
}

function failuresIn(changes: Reply): number {
  return (changes as readonly Reply[])[3] as number;
}

/** Changed steps and their outcomes, in pairs. */
function readChanges(reply: Reply): JournalChanges {
  const [journalRev, flat, cancelReason, failures, more] = reply as [
    number,
    (string | null)[],
    string | null,
    number,
    1 | null,
  ];
  const changes = readSteps(flat, failures);
  return {
    journalRev,
    changes,
    ...(cancelReason !== null && { cancelReason }),
    ...(more === 1 && { more: true }),
  };
}

function readSteps(flat: readonly (string | null)[], failures: number): readonly JournalStep[] {
  const steps: JournalStep[] = [];
  for (let at = 0; at < flat.length; at += 2)
    steps.push(viewStep(JSON.parse(flat[at] as string) as StoredStep, flat[at + 1], failures));
  return steps;
}

/** Result of a success; it is passed beside the rest, which the scripts decode. */
function resultText(outcome: StepOutcome): string {
  return outcome.ok ? fieldText(outcome, 'value') : '';
}

/** An outcome, opaque to the scripts, with the fields they use. */
function outcomeRequest(outcome: StepOutcome, usage: Usage | undefined) {
  const json = outcome.ok ? `{"ok":true,"value":${resultText(outcome)}}` : writeJson(outcome);
  return {
    ok: outcome.ok,
    fingerprint: createHash('sha256').update(json).digest('base64url').slice(0, 22),
    retryable: !outcome.ok && outcome.error.retryable,
    reason: outcome.ok ? '' : outcome.error.message,
    ...(!outcome.ok && { json, value: errorText(endOf(outcome.error)) }),
    ...(usage && usageRequest(usage)),
  };
}

/** Usage for the scripts. */
function usageRequest(usage: Usage) {
  return {
    tokens: usage.tokens,
    model: usage.model,
    saved: usage.saved_tokens,
    prompt: usage.prompt_tokens,
    completion: usage.completion_tokens,
    cached: usage.cached_tokens,
    cost: usage.cost,
  };
}

/** The error of a task that consists of this call alone. */
function endOf({ code, message, retryable }: TaskError): TaskError {
  return { code, message, retryable };
}

function answerOf(answer: StepAnswer) {
  return answer.kind === 'accepted' ? { job: answer.jobId } : outcomeRequest(answer.outcome, answer.usage);
}

/** Format of the scripts: the part that they decode, and the others in lines of their own. */
function reportText({ service, jobId, callId, taskId, messageId, seq, metadata, body }: Report): string {
  const request = {
    service,
    job: jobId,
    call: callId,
    task: taskId,
    message: messageId,
    seq: seq === undefined ? undefined : String(seq),
    outcome: body.kind === 'outcome' ? outcomeRequest(body.outcome, body.usage) : undefined,
  };
  const large =
    body.kind === 'outcome'
      ? resultText(body.outcome)
      : JSON.stringify({ status: body.status, details: body.details });
  return [JSON.stringify(request), metadata ? JSON.stringify(metadata) : '', large].join('\n');
}
