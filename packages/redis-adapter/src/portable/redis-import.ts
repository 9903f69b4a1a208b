import { OrchestratorError } from '@agent-orchestrator/core';
import {
  type ImportRecordsParams,
  pause,
  type PortableRecord,
  systemClock,
} from '@agent-orchestrator/core/storage';
import type { RedisState } from '../scripts/tenant-steps.js';
import { unfinishedImport, unfinishedLayout, WHOLE_LAYOUT } from '../server/layout.js';
import { checkServer } from '../server/server-check.js';
import { answerOf } from '../server/storage-errors.js';
import { type Command, Timers } from './commands.js';
import { TenantImport } from './import-tenant.js';
import { refuseWorkers, tenantKeys, timeOf } from './redis-export.js';

/** Portion of one step, about: a single record may have more. */
const PORTION_BYTES = 2 ** 18;
const PORTION_COMMANDS = 500;
/** The place of an importing process is free again after this time without a sign of life. */
const HELD_MS = 15_000;
const HOLD_EVERY_MS = 5_000;
const RETRY_MS = 500;
/** How long a step of an import that is over is refused: a process may have been stopped for so long. */
const FENCED_MS = 24 * 60 * 60_000;
/** Number of a record that none has. */
const BEHIND_ALL = Number.MAX_SAFE_INTEGER;
const NAMED = 5;

/**
 * Fills an empty storage. Meanwhile the layout of the keys says so: every process that starts is refused. Each portion of a
 * tenant is stored once, whatever dies and is repeated: with it, the number of its last record. The last step makes all of it
 * visible.
 */
export class RedisImport {
  readonly #token: string;
  #isHeld = true;

  constructor(private readonly state: RedisState) {
    this.#token = state.parts.random.uuid();
  }

  async run({ source, signal }: ImportRecordsParams): Promise<void> {
    await this.state.parts.database.check();
    await this.#refuseServer();
    await this.#takePlace(signal);
    const ended = new AbortController();
    const holding = this.#holdOn(ended.signal);
    try {
      const importId = await this.#begin(source.id);
      const found = await this.#fill(importId, source.records(), signal);
      await this.#finish(importId, found);
    } finally {
      ended.abort();
      await holding;
      await this.#release();
    }
  }

  /** As for an orchestrator: a server that throws keys away would lose what is imported. */
  async #refuseServer(): Promise<void> {
    const { topology, timers } = this.state.parts;
    const findings = await checkServer(topology, timers);
    const refused = findings.filter(({ level }) => level === 'refused').map(({ message }) => message);
    if (refused.length > 0) throw new OrchestratorError('invalid_request', [...new Set(refused)].join('; '));
  }

  /** A process that was killed has the place for a while. */
  async #takePlace(signal: AbortSignal): Promise<void> {
    const deadline = performance.now() + HELD_MS + RETRY_MS;
    while (!(await this.#hold())) {
      if (performance.now() > deadline) throw importedElsewhere();
      await pause(systemClock, RETRY_MS, signal);
      signal.throwIfAborted();
    }
  }

  async #hold(): Promise<boolean> {
    const { scripts, keys } = this.state.parts;
    return (await scripts.run('holdImport', [keys.importer], ['', this.#token, HELD_MS])) === 1;
  }

  async #holdOn(signal: AbortSignal): Promise<void> {
    let heldAt = performance.now();
    while (!signal.aborted) {
      await pause(systemClock, HOLD_EVERY_MS, signal);
      if (signal.aborted) return;
      const startedAt = performance.now();
      if (await this.#hold().catch(() => false)) heldAt = startedAt;
      // Another process may have the place by now.
      this.#isHeld = performance.now() - heldAt < HELD_MS;
    }
  }

  async #release(): Promise<void> {
    const { client, keys } = this.state.parts;
    // A failure costs the next import the rest of the time.
    const holder = await client.get(keys.importer).catch(() => null);
    if (holder === this.#token) await client.del(keys.importer).catch(() => 0);
  }

  /** The import's id: that of the unfinished import of this source, if there is one. */
  async #begin(sourceId: string): Promise<string> {
    const { client, keys, random } = this.state.parts;
    const unfinished = unfinishedImport(await answerOf(client.get(keys.layout)));
    if (unfinished?.sourceId === sourceId) return unfinished.importId;
    if (unfinished) {
      const got = `another one, with ${sourceId}`;
      const expected = `the export whose import was begun, with the SHA-256 ${unfinished.sourceId}`;
      throw new OrchestratorError('conflict', `Redis: expected ${expected}, got ${got}`, {
        retryable: false,
      });
    }
    await this.#refuseContent();
    await refuseWorkers(this.state);
    const importId = random.uuid();
    await answerOf(client.set(keys.layout, unfinishedLayout(sourceId, importId)));
    return importId;
  }

  async #refuseContent(): Promise<void> {
    const { client, keys } = this.state.parts;
    const count = await answerOf(client.zcard(`${keys.system}tenants`));
    if (count === 0) return;
    const ids = await answerOf(client.zrange(`${keys.system}tenants`, 0, `${NAMED - 1}`));
    const rest = count - ids.length;
    const got = `one with tenants (${count}): ${ids.join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
    throw new OrchestratorError('conflict', `Redis: expected an empty storage, got ${got}`, {
      retryable: false,
    });
  }

  /** Stores all records. Returns the tenants. */
  async #fill(
    importId: string,
    records: AsyncIterable<PortableRecord>,
    signal: AbortSignal,
  ): Promise<{ readonly tenants: readonly string[]; readonly touched: readonly string[] }> {
    const now = await timeOf(this.state);
    const tenants: string[] = [];
    const touched = new Set<string>();
    let number = 0;
    let current:
      | { readonly tenantId: string; readonly commands: TenantImport; readonly portion: Portion }
      | undefined;
    const leave = async () => {
      if (!current) return;
      current.portion.add(number, current.commands.before(undefined));
      await current.portion.send(number);
    };
    for await (const record of records) {
      signal.throwIfAborted();
      if (!this.#isHeld) throw importedElsewhere();
      const { tenant_id: tenantId } = record;
      if (current?.tenantId !== tenantId || record.kind === 'tenant') {
        await leave();
        if (record.kind === 'tenant') tenants.push(tenantId);
        touched.add(tenantId);
        current = await this.#enter(importId, tenantId, now);
      }
      const { commands, portion } = current;
      portion.add(number, commands.before(record));
      if (portion.isFull) await portion.send(number);
      number += 1;
      portion.add(number, commands.add(record));
    }
    await leave();
    return { tenants, touched: [...touched] };
  }

  async #enter(importId: string, tenantId: string, now: number) {
    const { state } = this;
    const { client, limits, random } = state.parts;
    const keys = tenantKeys(state, tenantId);
    const timers = new Timers(`${keys.prefix}@due`);
    const context = { keys, timers, limits, now, newToken: () => random.uuid() };
    const commands = new TenantImport(context, (day) => state.keys.usage(tenantId, day));
    const [id, last] = ((await answerOf(client.get(`${keys.prefix}@import`))) ?? '').split(' ');
    const portion = new Portion(state, tenantId, importId, id === importId ? Number(last) : 0);
    return { tenantId, commands, portion };
  }

  /** Indexes and rotations, then the end, after which no step of this import has an effect. */
  async #finish(
    importId: string,
    { tenants, touched }: { readonly tenants: readonly string[]; readonly touched: readonly string[] },
  ): Promise<void> {
    const { client, keys } = this.state.parts;
    for (const tenantId of tenants) {
      await answerOf(client.zadd(`${keys.system}tenants`, 0, tenantId));
      await this.state.change(tenantId, 'reconcileTenant', 1);
    }
    const marks = touched.map((tenantId) => keys.task(tenantId, '@import'));
    for (const mark of marks) await answerOf(client.set(mark, `${importId} ${BEHIND_ALL}`));
    if (!this.#isHeld) throw importedElsewhere();
    await answerOf(client.set(keys.layout, WHOLE_LAYOUT));
    // Not before: a repeat of an import that is not over must find them, whenever it comes.
    for (const mark of marks) await client.pexpire(mark, FENCED_MS).catch(() => 0);
  }
}

function importedElsewhere(): OrchestratorError {
  const message =
    'Redis: expected no other import at the same time, got one of another process: wait for its end';
  return new OrchestratorError('conflict', message, { retryable: false });
}

/** Commands of a tenant that one step carries out. */
class Portion {
  #words: (string | number)[] = [];
  #commands = 0;
  #bytes = 0;

  constructor(
    private readonly state: RedisState,
    private readonly tenantId: string,
    private readonly importId: string,
    /** Number of the last record that is stored. */
    private readonly stored: number,
  ) {}

  get isFull(): boolean {
    return this.#commands >= PORTION_COMMANDS || this.#bytes >= PORTION_BYTES;
  }

  /** @param number of the record that the commands belong to. */
  add(number: number, commands: Iterable<Command>): void {
    for (const command of commands) {
      if (number <= this.stored) continue;
      this.#words.push(command.length, ...command);
      this.#commands += 1;
      for (const word of command) this.#bytes += String(word).length;
    }
  }

  /** @param last number of the last record that is added. */
  async send(last: number): Promise<void> {
    if (this.#commands === 0) return;
    const words = this.#words;
    this.#words = [];
    this.#commands = 0;
    this.#bytes = 0;
    await this.state.run(this.tenantId, 'importPortion', this.importId, last, ...words);
  }
}
