/** What stores and runs durable work in a process that is measured. */
export interface DurableSide {
  /** Resolves once a workflow with three steps of its own has ended. */
  runWorkflow(n: number): Promise<void>;
  /** Resolves once a task is stored, which nothing runs yet. Absent: not measured. */
  readonly submit?: (n: number) => Promise<void>;
  /** Runs what was submitted; resolves once all of it has ended. */
  readonly drain?: (tasks: number) => Promise<void>;
  close(): Promise<void>;
}

export const SIDES = ['memory', 'file, process', 'file, power', 'redis, AOF', 'openworkflow'] as const;
export type SideName = (typeof SIDES)[number];

export type Work = 'workflows' | 'submit' | 'drain';

/** An order to the measured process, as its only argument. */
export interface DurableOrder {
  readonly side: SideName;
  readonly work: Work;
  readonly tasks: number;
  readonly inFlight: number;
  /** Folder for files, or URL of Redis. */
  readonly place: string;
}

/** What a run has cost. */
export interface DurableRun {
  readonly wallMs: number;
  /** All threads of the process, garbage collection included. */
  readonly cpuUs: number;
  /** Latency of a task, ms. Absent where they were not waited for one by one. */
  readonly p50?: number;
  readonly p99?: number;
  /** `fdatasync` calls; `undefined` where they cannot be counted. */
  readonly syncs: number | undefined;
  /** Bytes written to files. */
  readonly bytes: number;
}
