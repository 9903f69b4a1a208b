/**
 * Rights of a client's credential. `chat`: chat, sessions, events, tickets, signals, reading documents. `tasks`: tasks,
 * batches, usage. `plans`: submit a plan in the task. `manage`: change documents, agents, tools. `admin`: purge, export.
 */
export const SCOPES = ['chat', 'tasks', 'plans', 'manage', 'admin'] as const;
/** A right of a client's credential. */
export type Scope = (typeof SCOPES)[number];

/** Whether a text is the name of a scope. */
export function isScope(text: unknown): text is Scope {
  return (SCOPES as readonly unknown[]).includes(text);
}
