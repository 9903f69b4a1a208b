import { OrchestratorError } from '@agent-orchestrator/core';
import { parseJson } from '@agent-orchestrator/core/protocol';

/** An event of a stream of server-sent events. */
export interface StreamedEvent {
  readonly event: string;
  readonly data: unknown;
}

/** Maximum of an event that has not ended, in characters. */
const MAX_EVENT = 4 * 1024 * 1024;

/**
 * Events of a stream with one line of JSON each, as an orchestrator sends them. Comments, which are heartbeats, are left out.
 *
 * @param received called with each part, also of a heartbeat.
 * @throws {OrchestratorError} `invalid_response` for an event that is too large or not JSON.
 */
export async function* streamedEvents(
  parts: AsyncIterable<Uint8Array>,
  received: () => void,
): AsyncGenerator<StreamedEvent> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const part of parts) {
    received();
    text += decoder.decode(part, { stream: true });
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const event = readEvent(text.slice(0, end));
      text = text.slice(end + 2);
      if (event) yield event;
    }
    if (text.length > MAX_EVENT) throw unreadable('an event that is too large');
  }
}

function readEvent(block: string): StreamedEvent | undefined {
  const field = (name: string) =>
    block
      .split('\n')
      .find((line) => line.startsWith(`${name}: `))
      ?.slice(name.length + 2);
  const [event, data] = [field('event'), field('data')];
  if (event === undefined || data === undefined) return undefined;
  try {
    return { event, data: parseJson(data) };
  } catch {
    throw unreadable('something else');
  }
}

function unreadable(got: string): OrchestratorError {
  return new OrchestratorError('invalid_response', `the stream: expected events with JSON, got ${got}`);
}
