import { isFinalState } from '@agent-orchestrator/core/protocol';
import {
  type CallRecord,
  type DroppedCallRecord,
  type JournalRecord,
  portions,
  type SignalIdRecord,
  type StepCallRecord,
  type StepOutcome,
  type StepRecord,
} from '@agent-orchestrator/core/storage';
import type { Cluster, Redis } from 'ioredis';
import { answerOf } from '../server/storage-errors.js';
import {
  type DroppedCall,
  type TenantKeys,
  twoParts,
  type WholeCall,
  type WholeState,
  type WholeStep,
} from './stored-records.js';

/** Bytes of a step or a call besides its outcome, about. */
const STEP_BYTES = 512;
/** Outcomes read at once: each may have 1 MiB. */
const OUTCOMES_AT_ONCE = 16;

interface JournalOf {
  readonly taskId: string;
  readonly state: WholeState;
}

interface Journal {
  /** Number of its changes. */
  readonly rev: number;
  readonly records: AsyncIterable<JournalRecord>;
}

const EMPTY: Journal = { rev: 0, records: (async function* none() {})() };

/** The journal of a task in pages. A task that never had one is not asked. */
export async function journalRecords(
  client: Redis | Cluster,
  tenantId: string,
  keys: TenantKeys,
  { taskId, state }: JournalOf,
): Promise<Journal> {
  const { journal, mail } = state;
  const signals = await answerOf(client.smembers(`${keys.prefix}${taskId}:signals`));
  if (!journal && mail === undefined && signals.length === 0) return EMPTY;
  const rev = await answerOf(client.llen(`${keys.prefix}${taskId}:changes`));
  const reader = new JournalReader(client, keys, taskId, state);
  return { rev, records: reader.pages(tenantId, signals) };
}

class JournalReader {
  readonly #client: Redis | Cluster;
  readonly #key: string;
  readonly #isEnded: boolean;

  constructor(
    client: Redis | Cluster,
    private readonly keys: TenantKeys,
    taskId: string,
    private readonly state: WholeState,
  ) {
    this.#client = client;
    this.#key = `${keys.prefix}${taskId}`;
    this.#isEnded = isFinalState(state.state);
  }

  async *pages(tenantId: string, signals: readonly string[]): AsyncGenerator<JournalRecord> {
    const page = {
      kind: 'journal',
      tenant_id: tenantId,
      task_id: this.#key.slice(this.keys.prefix.length),
    } as const;
    const all = await this.#steps();
    const steps = all.filter((step) => !this.#isDropped(step));
    for (let from = 0; from < steps.length; from += OUTCOMES_AT_ONCE) {
      const some = await this.#withOutcomes(steps.slice(from, from + OUTCOMES_AT_ONCE));
      for (const part of portions(some, ({ bytes }) => bytes))
        yield { ...page, steps: part.map(({ record }) => record) };
    }
    const dropped = await this.#dropped(all.filter((step) => this.#isDropped(step)));
    for (const some of portions(dropped, () => STEP_BYTES)) yield { ...page, dropped: some };
    const mails = await answerOf(this.#client.lrange(`${this.#key}:mailbox`, 0, -1));
    for (const some of portions(mails, (text) => Buffer.byteLength(text)))
      yield { ...page, mailbox: some.map(mailOf) };
    for (const some of portions(signalsOf(signals), () => STEP_BYTES)) yield { ...page, signals: some };
  }

  async #steps(): Promise<WholeStep[]> {
    const texts = await answerOf(this.#client.hvals(`${this.#key}:steps`));
    return texts.map((text) => JSON.parse(text) as WholeStep).toSorted((a, b) => a.at - b.at);
  }

  /** Failures that the next attempt repeats: some of them may still be stored. */
  #isDropped({ failed, kind, key }: WholeStep): boolean {
    const { dropping } = this.state;
    return (
      dropping !== undefined && failed === true && (kind === 'call' || kind === 'run' || key === dropping)
    );
  }

  async #withOutcomes(steps: readonly WholeStep[]) {
    const names = steps.map(({ key }) => key);
    const outcomes = await answerOf(this.#client.hmget(`${this.#key}:outcomes`, ...names));
    return Promise.all(
      steps.map(async (step, at) => {
        const text = outcomes[at];
        const record = await this.#stepRecord(step, text ?? undefined);
        return {
          record,
          bytes: (text ? Buffer.byteLength(text) : 0) + STEP_BYTES * (1 + (step.calls?.length ?? 0)),
        };
      }),
    );
  }

  async #stepRecord(step: WholeStep, outcome: string | undefined): Promise<StepRecord> {
    const { key, kind, name, rev, tries = 1, era = 0, signal, ended, retry, due, calls = [] } = step;
    return {
      key,
      step: kind,
      name,
      max_tries: tries,
      rev,
      era,
      ...(signal !== undefined && { signal }),
      ...(ended !== undefined && { ended_at: ended }),
      ...(retry !== undefined && { retry_at: retry }),
      ...(due !== undefined && { due_at: due }),
      ...(outcome !== undefined && { outcome: JSON.parse(outcome) as StepOutcome }),
      ...(calls.length > 0 && { calls: await Promise.all(calls.map((call) => this.#stepCall(step, call))) }),
    };
  }

  async #stepCall(
    { service = '', operation = '', silence }: WholeStep,
    call: WholeCall,
  ): Promise<StepCallRecord> {
    return {
      ...(await this.#call(service, call)),
      operation,
      retry_delay_ms: call.delay ?? 0,
      ...(typeof silence === 'number' && silence < Number.MAX_SAFE_INTEGER && { silence_ms: silence }),
    };
  }

  async #call(service: string, call: WholeCall): Promise<CallRecord> {
    const { id, state, job, ok, print, silent, seq, seen_messages: seen } = call;
    const { prefix } = this.keys;
    const named =
      job === undefined ? null : await answerOf(this.#client.hget(`${prefix}@jobs`, `${service}\n${job}`));
    return {
      call_id: id,
      service,
      // The calls of an ended task have ended, also those still stored as open.
      state: this.#isEnded ? 'ended' : state,
      ...(job !== undefined && { job_id: job }),
      ...(named === id && { named: true }),
      ...(silent !== undefined && { silent_at: silent }),
      ...(ok !== undefined && { ok }),
      ...(call.counted && { counted: true as const }),
      ...(print !== undefined && { fingerprint: print }),
      ...(seq !== undefined && { last_seq: Number(seq) }),
      ...(Array.isArray(seen) && seen.length > 0 && { seen_messages: seen }),
    };
  }

  async #dropped(steps: readonly WholeStep[]): Promise<DroppedCallRecord[]> {
    const texts = await answerOf(this.#client.hvals(`${this.#key}:dropped`));
    const calls = texts.map((text) => JSON.parse(text) as DroppedCall);
    for (const { calls: own = [], service = '', operation = '' } of steps)
      calls.push(...own.map((call) => ({ ...call, service, operation })));
    const records: DroppedCallRecord[] = [];
    for (const call of calls.toSorted((a, b) => (a.id < b.id ? -1 : 1))) {
      const where = await answerOf(this.#client.hget(`${this.keys.prefix}@calls`, call.id));
      const key = where?.split(' ').slice(2).join(' ');
      if (key) records.push(await this.#droppedCall(call, key));
    }
    return records;
  }

  async #droppedCall(call: DroppedCall, key: string): Promise<DroppedCallRecord> {
    const { service, operation } = call;
    return { ...(await this.#call(service, call)), ...(operation && { operation }), step_key: key };
  }
}

function mailOf(text: string) {
  const [name, payload] = twoParts(text);
  return { name, payload: JSON.parse(payload) as JournalMail };
}
type JournalMail = NonNullable<JournalRecord['mailbox']>[number]['payload'];

/** Ids, and "id fingerprint" of those that have one. */
function signalsOf(texts: readonly string[]): SignalIdRecord[] {
  const found = new Map<string, SignalIdRecord>();
  for (const text of texts) {
    const [id = '', fingerprint] = text.split(' ');
    if (fingerprint !== undefined) found.set(id, { id, fingerprint });
    else if (!found.has(id)) found.set(id, { id });
  }
  return [...found.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1));
}
