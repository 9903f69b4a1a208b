import { z } from 'zod';
import { listSchema } from '../protocol/list.js';
import type { TaskEvent } from '../protocol/events.js';
import type { Task } from '../protocol/task.js';
import { validate } from '../protocol/validation.js';
import type { JournalStep, RunOrigin } from '../storage/call-journal.js';

const FORMAT = 'agent-orchestrator.run';
const MAX_STEPS = 1_000_000;

/** One run of a task: what its function was given, and what its steps came to. `replayRun` runs today's code against it. */
export interface RunRecording {
  readonly format: typeof FORMAT;
  readonly version: 1;
  readonly task: Task;
  readonly origin: RunOrigin;
  /** In the order in which they ended; a step without an outcome was in progress. */
  readonly steps: readonly JournalStep[];
  /** Events of the task that the log still has. For readers; a replay does not use them. */
  readonly events: readonly TaskEvent[];
}

const outcomeSchema = z.discriminatedUnion('ok', [
  z.looseObject({ ok: z.literal(true), value: z.unknown() }),
  z.looseObject({
    ok: z.literal(false),
    error: z.looseObject({ code: z.string(), message: z.string(), retryable: z.boolean() }),
  }),
]);

const recordingSchema = z.object({
  format: z.literal(FORMAT),
  version: z.literal(1),
  task: z.looseObject({
    task_id: z.string(),
    tenant_id: z.string(),
    type: z.string(),
    status: z.string(),
    payload: z.unknown(),
  }),
  origin: z.object({
    seed: z.string(),
    startedAt: z.number().optional(),
    version: z.int().optional(),
    inherited: z.int(),
  }),
  steps: listSchema(
    z.looseObject({
      key: z.string(),
      kind: z.enum(['call', 'run', 'sleep', 'signal']),
      name: z.string(),
      rev: z.int(),
      tries: z.int(),
      backingOff: z.boolean(),
      inherited: z.boolean(),
      outcome: outcomeSchema.optional(),
    }),
    { max: MAX_STEPS },
  ),
  events: listSchema(z.looseObject({ event: z.string() }), { max: MAX_STEPS }).default([]),
});

/**
 * A recording of parsed JSON, such as a file of `orchestrator-cli tasks export`.
 *
 * @throws {OrchestratorError} `invalid_request`, naming what is not as expected.
 */
export function readRecording(json: unknown): RunRecording {
  return validate(recordingSchema, json, 'recording') as unknown as RunRecording;
}

/** A recording of the parts that a storage has. */
export function recordingOf(parts: Omit<RunRecording, 'format' | 'version'>): RunRecording {
  return { format: FORMAT, version: 1, ...parts };
}
