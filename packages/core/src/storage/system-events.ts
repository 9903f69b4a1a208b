/** An event for operators, as they read it. */
export interface SystemEvent {
  /** Epoch ms. */
  readonly at: number;
  readonly kind: string;
  readonly text: string;
  /** What it is about, such as `tenant`. */
  readonly [field: string]: string | number;
}

/** An event to publish to operators. */
export interface PublishSystemEventParams {
  /** Such as `breaker_opened`. */
  readonly kind: string;
  /** For people. */
  readonly text: string;
  /** What it is about, such as `{ tenant, service }`. */
  readonly fields?: Readonly<Record<string, string>>;
}

/** Storage port for events for operators, such as an opened circuit breaker. */
export interface SystemEvents {
  /**
   * Best effort: returns at once, and never throws. A storage without readers outside of the process drops the event;
   * the process itself has it by `orchestrator.on` and in its log.
   */
  publish(params: PublishSystemEventParams): void;
}
