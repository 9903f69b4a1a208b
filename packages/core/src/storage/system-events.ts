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

/** Params of `SystemEvents.follow`. */
export interface FollowSystemEventsParams {
  /** Ends the follower. */
  readonly signal: AbortSignal;
  /** Number of past events to begin with. Default 100. */
  readonly recent?: number;
}

/** Storage port for events for operators, such as an opened circuit breaker. */
export interface SystemEvents {
  /**
   * Best effort: returns at once, and never throws. A storage keeps a limited number of the last events; one of this process
   * alone keeps them in memory.
   */
  publish(params: PublishSystemEventParams): void;
  /**
   * Recent events, oldest first, then new ones, until `signal` fires. A follower that is slower than the events misses those
   * that are no longer kept.
   */
  follow(params: FollowSystemEventsParams): AsyncIterable<SystemEvent>;
}

/** The events that a storage publishes by itself: the same kinds, texts and fields in each. */
export const storageEvents = {
  workerJoined: (worker: string): PublishSystemEventParams => ({
    kind: 'worker_joined',
    text: `worker ${worker} has joined`,
    fields: { worker },
  }),
  workerLeft: (worker: string): PublishSystemEventParams => ({
    kind: 'worker_left',
    text: `worker ${worker} has left`,
    fields: { worker },
  }),
  workerLost: (worker: string): PublishSystemEventParams => ({
    kind: 'worker_lost',
    text: `worker ${worker} is lost`,
    fields: { worker },
  }),
  deadLetter: (tenant: string, task: string): PublishSystemEventParams => ({
    kind: 'dead_letter',
    text: `task ${task} has failed`,
    fields: { tenant, task },
  }),
  /** At most once a minute for each tenant. */
  tenantAtLimit: (tenant: string): PublishSystemEventParams => ({
    kind: 'tenant_at_limit',
    text: `tenant ${tenant} is at its limit: too many of its tasks wait, or too much is stored for it`,
    fields: { tenant },
  }),
  lateOutcome: (report: {
    readonly tenantId: string;
    readonly service: string;
    readonly jobId: string;
    readonly taskId: string;
  }): PublishSystemEventParams => ({
    kind: 'late_outcome',
    text: `${report.service} has reported on job ${report.jobId} of task ${report.taskId} when it had an outcome already`,
    fields: { tenant: report.tenantId, task: report.taskId, service: report.service },
  }),
} as const;
