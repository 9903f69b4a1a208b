import { EventEmitter } from 'eventemitter3';
import { diagnose } from '../protocol/thrown.js';

/** Listeners by event, for watching. An error or rejection of a listener goes to `onError` and affects nothing else. */
export class Listeners<Events extends object> {
  readonly #emitter = new EventEmitter();

  constructor(private readonly onError: (event: keyof Events & string, error: unknown) => void) {}

  on<E extends keyof Events & string>(event: E, listener: (payload: Events[E]) => unknown): void {
    this.#emitter.on(event, listener);
  }

  off<E extends keyof Events & string>(event: E, listener: (payload: Events[E]) => unknown): void {
    this.#emitter.off(event, listener);
  }

  /** Whether an event has listeners: without any, its payload need not be built. */
  has(event: keyof Events & string): boolean {
    return this.#emitter.listenerCount(event) > 0;
  }

  emit<E extends keyof Events & string>(event: E, payload: Events[E]): void {
    for (const listener of this.#emitter.listeners(event)) void this.#call(event, listener, payload);
  }

  async #call(
    event: keyof Events & string,
    listener: (payload: unknown) => unknown,
    payload: unknown,
  ): Promise<void> {
    try {
      await listener(payload);
    } catch (error) {
      this.onError(event, error);
    }
  }
}

/** Reports a failed listener as a warning of the process. */
export function warnOfListener(type: string): (event: string, error: unknown) => void {
  return (event, error) => {
    const { message, stack: detail = message } = diagnose(error);
    process.emitWarning(`a listener of "${event}" failed`, { type, detail });
  };
}
