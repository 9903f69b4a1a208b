/**
 * Texts that every storage writes into errors and reasons, with `{name}` for a value. The scripts of the Redis adapter get
 * them from this table when it is built.
 */
export const TASK_TEXTS = {
  taskCompleted: 'the task is completed',
  taskTimedOut: 'not ended within {timeoutMs} ms',
  workersLost: '{lost} workers were lost while they ran it',
  attemptsExhausted: '{failures} of {attempts} attempts failed, the last one with {error}',
  endedByWorkflow: 'the workflow ended it',
  interrupted: 'interrupted by a newer message',
  sessionClosed: 'the session was closed',
  batchFailed: 'task {taskId} of the batch failed',
  stepTimedOut: 'no {step} in time',
  serviceSilent: '{service} has not reported on job {job} for {silenceMs} ms',
  journalTooLarge: 'the journal of the task: expected at most {maxBytes} bytes, got {bytes}',
  taskIdUsed: 'the task_id is used by another task',
  typeForbidden: 'the tenant may not submit tasks of type "{type}"',
  serviceForbidden: 'the tenant may not use service "{service}"',
  rateExceeded: 'the rate of the tenant: expected room for the call within {waitMs} ms, got none',
  budgetSpent: 'the budget of the task is used up',
  budgetExceeded: 'the budget of the tenant is used up, or reserved',
  sessionIsClosed: 'session "{sessionId}" is closed',
  sessionIsBusy: 'session "{sessionId}" is busy with another task',
} as const;

/** Names of the values of a text. */
type ValuesOf<T extends string> = T extends `${string}{${infer Name}}${infer Rest}`
  ? Name | ValuesOf<Rest>
  : never;

/** A text with its values. */
export function taskText<K extends keyof typeof TASK_TEXTS>(
  name: K,
  values: Readonly<Record<ValuesOf<(typeof TASK_TEXTS)[K]>, string | number>>,
): string {
  return TASK_TEXTS[name].replaceAll(/\{(\w+)\}/g, (_, value: string) =>
    String((values as Readonly<Record<string, string | number>>)[value]),
  );
}
