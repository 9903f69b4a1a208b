import { cutText } from '@agent-orchestrator/core/protocol';
import type { TaskEvent } from '@agent-orchestrator/core';
import { inOneLine, type Terminal } from '../terminal/terminal.js';
import { localClock } from './local-time.js';

interface StatusData {
  readonly status?: string;
  readonly details?: {
    readonly delta?: string;
    readonly percent?: number;
    readonly message?: string;
    readonly [key: string]: unknown;
  };
}

/** Text streamed by a model; `undefined` for other events. */
export function deltaOf(event: TaskEvent): string | undefined {
  if (event.event !== 'task_status_update') return undefined;
  const delta = (event.data as StatusData).details?.delta;
  return typeof delta === 'string' ? delta : undefined;
}

/** One line about an event: time, source, content. */
export function eventLine(
  event: TaskEvent,
  terminal: Terminal,
  stream: Terminal['stdout'] | Terminal['stderr'],
): string {
  const { timestamp, task_id: id, service } = event;
  const when = terminal.paint(
    'dim',
    `${localClock(timestamp, true)}${id === undefined ? '' : ` ${id.slice(0, 8)}`}`,
    stream,
  );
  const who = service === 'orchestrator' ? '' : ` ${terminal.paint('cyan', inOneLine(service), stream)}`;
  return `${when}${who} ${inOneLine(whatHappened(event))}`;
}

function whatHappened(event: TaskEvent): string {
  switch (event.event) {
    case 'task_created':
      return `created: ${event.data.type}, priority ${event.data.priority}`;
    case 'task_started':
      return `started, attempt ${event.data.attempt}`;
    case 'task_status_update':
      return statusText(event.data as StatusData);
    case 'task_completed':
      return 'completed';
    case 'task_failed':
      return `failed: ${event.data.code}: ${event.data.message}`;
    case 'session_updated':
      return `session ${event.session_id}: ${event.data.status}, messages: ${event.data.messages}`;
    default:
      return event satisfies never;
  }
}

function statusText({ status, details = {} }: StatusData): string {
  const { percent, message, delta, ...rest } = details;
  const shown = [
    percent === undefined ? undefined : `${percent} %`,
    message,
    delta === undefined ? undefined : JSON.stringify(delta),
    Object.keys(rest).length > 0 ? brief(rest) : undefined,
  ].filter((part) => part !== undefined);
  return shown.length > 0 ? `${status}: ${shown.join(', ')}` : String(status);
}

function brief(rest: object): string {
  const pairs = Object.entries(rest).map(
    ([key, value]) => `${key} ${typeof value === 'object' ? JSON.stringify(value) : String(value)}`,
  );
  const text = pairs.join(', ');
  return cutText(text, 160, '…');
}
