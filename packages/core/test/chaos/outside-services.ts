import {
  accepted,
  type Clock,
  isFinal,
  type JsonValue,
  OrchestratorError,
  type ServiceCall,
  type Storage,
} from '../../src/index.js';
import { pause } from '../../src/server.js';

/** How a service is to behave: the input of each call says so. `step` names what is asked, however often it is tried. */
export type Behaviour = {
  readonly step: string;
  /** What it answers. Default: the step's name. */
  readonly value?: JsonValue;
  /** How long the service works before it answers. */
  readonly takesMs?: number;
  /** So many sends of each try are turned away with 503. */
  readonly refusals?: number;
  /** So many tries fail and may be tried again. */
  readonly failures?: number;
  /** It fails for good. */
  readonly error?: string;
  /** It answers 202, and reports later. */
  readonly job?: Job;
};

export type Job = {
  readonly afterMs: number;
  /** It reports before it answers 202. */
  readonly early?: boolean;
  /** What the report names besides the job. */
  readonly names?: 'call' | 'task';
  /** How often it reports. Default once. */
  readonly copies?: number;
  /** So many tries are never reported on. */
  readonly silentTries?: number;
  /** It reports progress halfway. */
  readonly progress?: boolean;
};

type Frame = { readonly [key: string]: JsonValue };

/** Delivers a report to a live process; resolves with the ack. */
export type Deliver = (service: string, frame: Frame) => Promise<string>;

/**
 * The services of the world: outside of every process, so that what they saw and promised outlives them all. They are
 * idempotent by `call_id`, and note what no engine may do: send a call again whose answer it had recorded.
 */
export class OutsideServices {
  /** How often each call was sent, by `call_id`. */
  readonly sends = new Map<string, number>();
  /** Calls that were sent though their outcome, their job, or another try's success was recorded already. */
  readonly repeated: string[] = [];
  /** Calls that were sent before they were stored. */
  readonly unstored: string[] = [];
  /** What became of the reports. */
  readonly reports = new Map<string, number>();
  /** By task and step: its tries. */
  readonly #tries = new Map<string, string[]>();
  readonly #jobs = new Map<string, string>();

  constructor(
    private readonly world: { readonly clock: Clock; readonly storage: Storage; readonly deliver: Deliver },
  ) {}

  /** Sends beyond the first of each call. */
  get sentAgain(): number {
    let again = 0;
    for (const sends of this.sends.values()) again += sends - 1;
    return again;
  }

  /** How many tries of a step were sent. */
  triesOf(taskId: string, step: string): number {
    return this.#tries.get(`${taskId}/${step}`)?.length ?? 0;
  }

  async run(service: string, call: ServiceCall): Promise<unknown> {
    const behaviour = call.input as Behaviour;
    const step = `${call.task_id}/${behaviour.step}`;
    const sends = (this.sends.get(call.call_id) ?? 0) + 1;
    this.sends.set(call.call_id, sends);
    await this.#checkThatItIsOpen(call, step);
    const tries = this.#tries.get(step) ?? [];
    if (!tries.includes(call.call_id)) this.#tries.set(step, [...tries, call.call_id]);
    if (behaviour.takesMs !== undefined) await pause(this.world.clock, behaviour.takesMs);
    if (behaviour.job) return this.#takeOn(service, call, behaviour, behaviour.job);
    if (sends <= (behaviour.refusals ?? 0)) throw new OrchestratorError('service_unavailable', 'busy');
    if (this.#place(call, step) < (behaviour.failures ?? 0)) {
      throw new OrchestratorError('service_error', 'not yet', { retryable: true });
    }
    if (behaviour.error !== undefined) throw new OrchestratorError('service_error', behaviour.error);
    return behaviour.value ?? behaviour.step;
  }

  /** Which try of its step a call is, from 0. */
  #place(call: ServiceCall, step: string): number {
    return (this.#tries.get(step) ?? []).indexOf(call.call_id);
  }

  async #checkThatItIsOpen(call: ServiceCall, step: string): Promise<void> {
    const { tenant_id: tenantId, task_id: taskId } = call;
    const found = await this.world.storage.tasks.get({ tenantId, taskId });
    // A worker may not know yet that its task has ended.
    if (!found || isFinal(found.task.status)) return;
    const calls = found.task.delegated_services;
    const own = calls.find(({ call_id }) => call_id === call.call_id);
    if (!own) this.unstored.push(step);
    else if (own.status !== 'processing' || own.task_id !== undefined) this.repeated.push(step);
    const others = this.#tries.get(step) ?? [];
    if (calls.some(({ call_id = '', status }) => status === 'completed' && others.includes(call_id)))
      this.repeated.push(step);
  }

  async #takeOn(service: string, call: ServiceCall, behaviour: Behaviour, job: Job): Promise<unknown> {
    const known = this.#jobs.get(call.call_id);
    if (known !== undefined) return accepted(known);
    const jobId = `job-${this.#jobs.size + 1}`;
    this.#jobs.set(call.call_id, jobId);
    const place = this.#place(call, `${call.task_id}/${behaviour.step}`);
    const silent = job.silentTries ?? 0;
    if (place >= silent) {
      const fails = place < silent + (behaviour.failures ?? 0);
      void this.#report(service, call, { jobId, fails, behaviour, job });
      // The report overtakes the answer.
      if (job.early) await pause(this.world.clock, 50);
    }
    return accepted(jobId);
  }

  async #report(
    service: string,
    call: ServiceCall,
    {
      jobId,
      fails,
      behaviour,
      job,
    }: { readonly jobId: string; fails: boolean; behaviour: Behaviour; job: Job },
  ): Promise<void> {
    const { clock } = this.world;
    const about = {
      service,
      task_id: jobId,
      tenant_id: call.tenant_id,
      ...(job.names === 'call' && { call_id: call.call_id }),
      ...(job.names === 'task' && { global_task_id: call.task_id }),
    };
    if (!job.early) await pause(clock, job.afterMs / 2);
    if (job.progress) {
      const data = { status: 'working', details: { half: true } };
      await this.#deliver(service, { ...about, event: 'task_status_update', seq: 1, data });
    }
    if (!job.early) await pause(clock, job.afterMs / 2);
    const error = fails ? 'not yet' : behaviour.error;
    const outcome =
      error === undefined
        ? { event: 'task_completed', data: behaviour.value ?? behaviour.step }
        : { event: 'task_failed', data: { error, error_type: 'service_error', retryable: fails } };
    for (let copy = 0; copy < (job.copies ?? 1); copy += 1) {
      await this.#deliver(service, { ...about, ...outcome });
      if (copy > 0) await pause(clock, 700 * copy);
    }
  }

  async #deliver(service: string, frame: Frame): Promise<void> {
    const outcome = await this.world.deliver(service, frame);
    this.reports.set(outcome, (this.reports.get(outcome) ?? 0) + 1);
  }
}
