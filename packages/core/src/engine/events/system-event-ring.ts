import type { Clock } from '../../runtime/clock.js';
import { Fifo } from '../../runtime/fifo.js';
import { WakeSignal } from '../../runtime/wake-signal.js';
import type {
  FollowSystemEventsParams,
  PublishSystemEventParams,
  SystemEvent,
  SystemEvents,
} from '../../storage/system-events.js';

const KEPT = 1_000;
const RECENT = 100;

/** Events for operators of a storage that one process has to itself: the last thousand, in memory. */
export class SystemEventRing implements SystemEvents {
  readonly #kept = new Fifo<SystemEvent>();
  /** Number of events before the first kept one. */
  #dropped = 0;
  readonly #added = new WakeSignal();

  constructor(private readonly clock: Pick<Clock, 'now'>) {}

  publish({ kind, text, fields }: PublishSystemEventParams): void {
    this.#kept.push({ at: this.clock.now(), kind, text, ...fields });
    if (this.#kept.size > KEPT) {
      this.#kept.shift();
      this.#dropped += 1;
    }
    this.#added.notify();
  }

  async *follow({ signal, recent = RECENT }: FollowSystemEventsParams): AsyncGenerator<SystemEvent> {
    let position = this.#dropped + Math.max(0, this.#kept.size - recent);
    while (!signal.aborted) {
      position = Math.max(position, this.#dropped);
      const [event] = this.#kept.slice(position - this.#dropped, 1);
      if (event) {
        position += 1;
        yield event;
      } else {
        await this.#added.wait({ signal });
      }
    }
  }
}
