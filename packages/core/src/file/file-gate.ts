import type { Command, CommandName, CommandParams, CommandResult } from '../engine/command.js';
import { EffectDelivery } from '../engine/effect-delivery.js';
import { type CommandGate, stamped } from '../engine/engine-gate.js';
import type { Engine } from '../engine/engine.js';
import type { Effects } from '../engine/engine-state.js';
import type { ReadName, ReadParams, ReadResult } from '../engine/reads.js';
import { OrchestratorError } from '../protocol/errors.js';
import { messageOf } from '../protocol/thrown.js';
import type { Clock } from '../runtime/clock.js';
import { Fifo } from '../runtime/fifo.js';
import type { Random } from '../runtime/random.js';
import type { SystemEvents } from '../storage/system-events.js';
import type { Wakeups } from '../storage/wakeups.js';
import { FRAME_HEADER_BYTES } from './frame.js';
import { commandOf, digestOf, textOfCommand, writeEntry } from './log-entries.js';
import { isWithoutRoom } from './log-writer.js';
import type { StateLog } from './state-log.js';

export interface FileGateOptions {
  readonly engine: Engine;
  readonly log: StateLog;
  readonly clock: Clock;
  readonly random: Random;
  /** The folder, for messages. */
  readonly where: string;
}

/**
 * Bytes of commands that may wait for the disk: those that are carried out but not written, and those that wait for room. With
 * more, further ones are refused.
 */
export const MAX_WAITING_BYTES = 2 ** 26;

/** A command that waits for room on the disk. It is not carried out yet. */
interface WaitingCommand {
  readonly text: string;
  readonly settle: Settle;
}

interface StampedCommand<N extends CommandName> {
  readonly command: Command<N>;
  readonly text: string;
}

interface Settle {
  readonly resolve: (result: never) => void;
  readonly reject: (error: unknown) => void;
}

/** What becomes visible when a batch is durable. */
interface Pending extends Settle {
  readonly result: unknown;
  readonly effects?: Effects;
}

/** Commands of one frame, carried out, and reads that have seen their state. */
class Batch {
  readonly lines: string[] = [];
  readonly pending: Pending[] = [];
  bytes = FRAME_HEADER_BYTES;

  add(line: string): void {
    this.lines.push(line);
    this.bytes += Buffer.byteLength(line);
  }
}

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

/**
 * A gate with a log. A command is written as JSON when it is called, and carried out at once; its answer, its effects and
 * all reads that have seen it are held back until the log is durable. The commands of a turn of the event loop, and those that
 * come while the log is written, share one write and one `fdatasync`.
 */
export class FileGate implements CommandGate {
  readonly wakeups: Wakeups;
  readonly systemEvents: SystemEvents;
  readonly #delivery: EffectDelivery;
  readonly #parts: FileGateOptions;
  readonly #waiting = new Fifo<WaitingCommand>();
  /** Characters of the commands that wait for room. */
  #waitingChars = 0;
  #batch = new Batch();
  /** The batch that is being written. */
  #writing: Batch | undefined;
  #running: Promise<void> | undefined;
  #end: OrchestratorError | undefined;
  #isBroken = false;

  constructor(parts: FileGateOptions) {
    this.#parts = parts;
    this.#delivery = new EffectDelivery(parts.clock);
    this.wakeups = this.#delivery.wakeups;
    this.systemEvents = this.#delivery.systemEvents;
  }

  get clock(): Clock {
    return this.#parts.clock;
  }

  /** @throws {OrchestratorError} `storage_unavailable` after `close`, or once the log cannot be written. */
  checkOpen(): void {
    if (this.#end) throw this.#end;
  }

  /** Resolves once everything is written; further calls are refused. `true`: all that was carried out is durable. */
  async close(): Promise<boolean> {
    this.#end ??= new OrchestratorError('storage_unavailable', 'the storage is closed');
    await this.#running;
    return !this.#isBroken;
  }

  execute<N extends CommandName>(name: N, params: CommandParams<N>): Promise<CommandResult<N>> {
    this.checkOpen();
    const stored = this.#stamped(name, params);
    if (this.#batch.bytes + this.#waitingChars + stored.text.length > MAX_WAITING_BYTES)
      throw this.#tooMuchWaits();
    return this.#accept(stored);
  }

  read<N extends ReadName>(name: N, params: ReadParams<N>): ReadResult<N> | Promise<ReadResult<N>> {
    this.checkOpen();
    const result = this.#parts.engine.read({ name, at: this.#parts.clock.now(), params });
    const seen = this.#batch.lines.length > 0 ? this.#batch : this.#writing;
    if (!seen) return result;
    return new Promise((resolve, reject) => seen.pending.push({ result, resolve, reject }));
  }

  async follow(tenantId: string, onNews: () => void): Promise<() => void> {
    await this.execute('events.follow', { tenantId });
    const unfollow = this.#delivery.follow(tenantId, onNews);
    return () => {
      unfollow();
      // A log that cannot be written any more has no followers when it is opened again. The end of a follower makes room:
      // however much waits, it is accepted.
      if (!this.#end) this.#accept(this.#stamped('events.unfollow', { tenantId })).catch(() => undefined);
    };
  }

  #stamped<N extends CommandName>(name: N, params: CommandParams<N>): StampedCommand<N> {
    const command = stamped(name, params, this.#parts.clock, this.#parts.random);
    return { command, text: textOfCommand(command) };
  }

  #accept<N extends CommandName>({ command, text }: StampedCommand<N>): Promise<CommandResult<N>> {
    return new Promise((resolve, reject) => {
      const settle = { resolve, reject };
      if (this.#waiting.size > 0 || !this.#fits(text)) this.#wait({ text, settle });
      else this.#carryOut(command, text, settle);
      this.#running ??= this.#run();
    });
  }

  #tooMuchWaits(): OrchestratorError {
    return new OrchestratorError(
      'storage_unavailable',
      `${this.#parts.where}: expected at most ${MAX_WAITING_BYTES} bytes that wait for the disk, which is slower than the requests`,
      { retryAfterMs: 1_000 },
    );
  }

  #wait(command: WaitingCommand): void {
    this.#waiting.push(command);
    this.#waitingChars += command.text.length;
  }

  #takeWaiting(): WaitingCommand | undefined {
    const command = this.#waiting.shift();
    this.#waitingChars -= command?.text.length ?? 0;
    return command;
  }

  #fits(text: string): boolean {
    // Three bytes for each character at most, and the digest.
    return this.#batch.bytes + 3 * text.length + 16 <= this.#parts.log.room - (this.#writing?.bytes ?? 0);
  }

  #carryOut(command: Command, text: string, settle: Settle): void {
    const { engine } = this.#parts;
    try {
      const result = engine.execute(command);
      this.#batch.add(writeEntry({ command: text, digest: digestOf(result) }));
      this.#batch.pending.push({ ...settle, result, effects: engine.takeEffects() });
    } catch (error) {
      // It has changed nothing.
      settle.reject(error);
    }
  }

  async #run(): Promise<void> {
    await nextTurn();
    while (this.#batch.lines.length > 0 || this.#waiting.size > 0) {
      const batch = this.#batch;
      this.#batch = new Batch();
      if (batch.lines.length > 0) await this.#write(batch);
      await this.#admit();
    }
    this.#running = undefined;
  }

  async #write(batch: Batch): Promise<void> {
    this.#writing = batch;
    try {
      // In one piece: a write and a checksum cost more for each of many.
      await this.#parts.log.append([Buffer.from(batch.lines.join(''))]);
    } catch (error) {
      this.#fail(error, batch);
      return;
    } finally {
      this.#writing = undefined;
    }
    for (const { result, effects, resolve, reject } of batch.pending) {
      try {
        if (effects) this.#delivery.deliver(effects);
        resolve(result as never);
      } catch (error) {
        reject(error);
      }
    }
  }

  /** Carries out the commands that wait for room. Without room they are refused, and nothing has changed. */
  async #admit(): Promise<void> {
    for (let next = this.#waiting.first; next; next = this.#waiting.first) {
      if (!this.#fits(next.text)) {
        if (this.#batch.lines.length > 0) return;
        try {
          await this.#parts.log.reserve(this.#batch.bytes + 3 * next.text.length + 16);
        } catch (error) {
          if (isWithoutRoom(error)) this.#refuseWaiting(error);
          else this.#fail(error, new Batch());
          return;
        }
      }
      this.#takeWaiting();
      this.#carryOut(commandOf(next.text), next.text, next.settle);
    }
  }

  #refuseWaiting(cause: unknown): void {
    const { where } = this.#parts;
    const error = new OrchestratorError(
      'storage_unavailable',
      `${where}: the disk has no room: ${messageOf(cause)}`,
      { cause },
    );
    for (let next = this.#takeWaiting(); next; next = this.#takeWaiting()) next.settle.reject(error);
  }

  /** What is in memory may be more than what is on the disk: the storage is of no use until it is opened again. */
  #fail(cause: unknown, batch: Batch): void {
    const { where } = this.#parts;
    const error = new OrchestratorError(
      'storage_unavailable',
      `${where}: the log cannot be written, and is closed: ${messageOf(cause)}`,
      { cause },
    );
    this.#end = error;
    this.#isBroken = true;
    const later = this.#batch;
    this.#batch = new Batch();
    for (const { reject } of [...batch.pending, ...later.pending]) reject(error);
    for (let next = this.#takeWaiting(); next; next = this.#takeWaiting()) next.settle.reject(error);
  }
}
