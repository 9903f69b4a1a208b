import { setMaxListeners } from 'node:events';
import { type Clock, type JsonValue, OrchestratorError, type Logger } from '@agent-orchestrator/core';
import { type Ack } from '@agent-orchestrator/core/protocol';
import { type Intake, type IntakeResult, type ServiceIdentity } from '@agent-orchestrator/core/server';
import type { SocketTraffic } from '../metrics/socket-traffic.js';
import { CLOSE } from '../sockets/close-codes.js';
import { MinuteBudget } from '../sockets/budgets.js';
import type { Shares } from '../sockets/shares.js';
import { errorFrame } from '../sockets/error-frame.js';
import { messageIdOf } from '../sockets/message-id.js';

/** Replies of the inbox. */
interface InboxReply {
  sendJson(frame: object): void;
  close(code: number, reason: string): void;
}

export interface InboxParts {
  readonly intake: Intake;
  /** Current identity of the service, with the scope of its token. */
  readonly from: () => ServiceIdentity;
  readonly reply: InboxReply;
  readonly traffic: Pick<SocketTraffic, 'acks'>;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Bytes that all connections of a service may hold in memory. */
  readonly heldBytes: Shares;
}

interface Came {
  readonly frame: JsonValue;
  readonly bytes: number;
  readonly messageId: string | undefined;
}

interface Held {
  readonly frame: JsonValue;
  readonly bytes: number;
  readonly giveBack: () => void;
}

/** Maximum of frames in progress or held, by connection: number, and bytes of those in progress. */
const MAX_OPEN = 1_000;
const MAX_OPEN_BYTES = 16 * 1024 * 1024;
const BAD_FRAMES_A_MINUTE = 10;
const FORBIDDEN_A_MINUTE = 3;
const RETRY_MS = 1_000;

/**
 * Reports of one service over one connection. Frames with a `message_id` are acknowledged, and the sender
 * keeps them until then; frames without one wait here in order while the storage is unavailable, and are lost
 * with the process.
 */
export class Inbox {
  readonly #parts: InboxParts;
  readonly #bad: MinuteBudget;
  readonly #forbidden: MinuteBudget;
  readonly #closed = new AbortController();
  #waiting: Held[] = [];
  #inFlight = 0;
  #bytesInFlight = 0;
  #stopRetry: (() => void) | undefined;

  constructor(parts: InboxParts) {
    this.#parts = parts;
    this.#bad = new MinuteBudget(BAD_FRAMES_A_MINUTE, parts.clock);
    this.#forbidden = new MinuteBudget(FORBIDDEN_A_MINUTE, parts.clock);
    // Every held frame listens on it.
    setMaxListeners(0, this.#closed.signal);
  }

  /** @param bytes length of its text. */
  take(frame: JsonValue, bytes: number): void {
    if (this.#closed.signal.aborted) return;
    const messageId = messageIdOf(frame);
    const isFull = this.#inFlight >= MAX_OPEN || this.#bytesInFlight + bytes > MAX_OPEN_BYTES;
    const came = { frame, bytes, messageId };
    if (messageId === undefined && this.#waiting.length > 0) this.#hold(came, RETRY_MS);
    else if (isFull) this.#later(came, RETRY_MS);
    else void this.#deliver(came);
  }

  /** Answers an invalid frame. */
  refuse(error: OrchestratorError): void {
    this.#parts.reply.sendJson(errorFrame(error));
    if (this.#bad.spend()) this.#parts.reply.close(CLOSE.badFrames, 'too many frames that are not valid');
  }

  close(): void {
    this.#stopRetry?.();
    this.#closed.abort();
    if (this.#waiting.length > 0) {
      this.#parts.logger.warn('a service connection closed with frames that were not stored', {
        service: this.#parts.from().service,
        frames: this.#waiting.length,
      });
    }
    for (const { giveBack } of this.#waiting) giveBack();
    this.#waiting = [];
  }

  async #deliver(came: Came): Promise<void> {
    const { frame, bytes, messageId } = came;
    this.#inFlight += 1;
    this.#bytesInFlight += bytes;
    const result = await this.#receive(frame);
    this.#inFlight -= 1;
    this.#bytesInFlight -= bytes;
    if (this.#closed.signal.aborted) return;
    const { outcome } = result;
    if (outcome === 'retry_later') {
      this.#later(came, result.retry_after_ms ?? RETRY_MS);
      return;
    }
    if (messageId !== undefined) this.#acknowledge(messageId, result);
    else if (outcome === 'invalid') this.refuse(invalid(result));
    if (outcome === 'forbidden' && this.#forbidden.spend()) {
      this.#parts.reply.close(CLOSE.forbidden, 'too many frames outside the scope of the token');
    }
  }

  async #receive(frame: JsonValue): Promise<IntakeResult> {
    const { intake, logger } = this.#parts;
    const from = this.#parts.from();
    try {
      return await intake.receive(frame, from, { signal: this.#closed.signal });
    } catch (error) {
      const code = error instanceof OrchestratorError ? error.code : 'internal_error';
      if (!this.#closed.signal.aborted)
        logger.error('a notification was not taken', { service: from.service, code });
      return { outcome: 'retry_later', retry_after_ms: RETRY_MS };
    }
  }

  #acknowledge(messageId: string, result: IntakeResult): void {
    this.#parts.traffic.acks[result.outcome] += 1;
    const ack: Ack | object = { event: 'ack', message_id: messageId, ...result };
    this.#parts.reply.sendJson(ack);
  }

  #later(came: Came, retryAfterMs: number): void {
    const { messageId } = came;
    if (messageId === undefined) this.#hold(came, retryAfterMs);
    else this.#acknowledge(messageId, { outcome: 'retry_later', retry_after_ms: retryAfterMs });
  }

  #hold({ frame, bytes }: Came, retryAfterMs: number): void {
    const room =
      this.#waiting.length < MAX_OPEN && this.#parts.heldBytes.take(this.#parts.from().service, bytes);
    if (!room) {
      this.#parts.reply.close(CLOSE.overloaded, 'too many frames without message_id are waiting');
      return;
    }
    this.#waiting.push({ frame, bytes, giveBack: room });
    this.#stopRetry ??= this.#parts.clock.after(retryAfterMs, () => this.#tryAgain());
  }

  #tryAgain(): void {
    this.#stopRetry = undefined;
    const frames = this.#waiting;
    this.#waiting = [];
    for (const { frame, bytes, giveBack } of frames) {
      giveBack();
      this.take(frame, bytes);
    }
  }
}

function invalid({ errors }: IntakeResult): OrchestratorError {
  const first = errors?.[0];
  const where = first?.path ? ` at "${first.path}"` : '';
  const words = first ? `${where}: expected ${first.expected}, got ${first.got}` : '';
  return new OrchestratorError('invalid_message', `the frame is not valid${words}`, { issues: errors ?? [] });
}
