import type { Admin } from '@agent-orchestrator/core/server';
import type { EventStream } from './event-stream.js';

/** System events as a stream: recent ones, then new ones. */
export async function sendSystemEvents(
  stream: EventStream,
  admin: Admin,
  signal: AbortSignal,
): Promise<void> {
  for await (const event of admin.systemEvents({ signal })) {
    await stream.room();
    stream.message('system_event', event);
  }
}
