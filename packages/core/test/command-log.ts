import { expect } from 'vitest';
import { MemoryStorage } from '../src/index.js';
import { type MemoryStorageOptions } from '../src/index.js';
import type { Command } from '../src/engine/command.js';
import { Engine } from '../src/engine/engine.js';
import type { EngineGate } from '../src/engine/engine-gate.js';
import { type EngineSettings, EngineState } from '../src/engine/engine-state.js';
import type { ObservedStorageOptions } from '../src/engine/memory-storage.js';
import { SNAPSHOT_CLASSES, StateReader, writeState } from '../src/engine/snapshot/engine-snapshot.js';
import type { NodeRow } from '../src/engine/snapshot/graph.js';
import { writeJson } from '../src/protocol/known-text.js';
import { dump } from './engine-dump.js';

/** A command as a log keeps it: JSON, written when it is called; and its result. */
interface Entry {
  readonly command: string;
  readonly result: string;
}

const textOf = (result: unknown) => writeJson(result) ?? 'undefined';

/** A storage in memory that logs its commands. */
export class LoggedStorage {
  readonly storage: MemoryStorage;
  readonly #entries: Entry[] = [];
  readonly #settings: string;

  constructor(options: MemoryStorageOptions) {
    const observed: ObservedStorageOptions = {
      ...options,
      onCommand: (command, result) =>
        this.#entries.push({ command: writeJson(command), result: textOf(result) }),
    };
    this.storage = new MemoryStorage(observed);
    const { limits, epoch } = this.engine.state as unknown as EngineSettings;
    this.#settings = JSON.stringify({ epoch, limits });
  }

  get engine(): Engine {
    return (this.storage as unknown as { readonly gate: EngineGate }).gate.engine;
  }

  /** Number of commands so far, by name. */
  get counts(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const { command } of this.#entries) {
      const { name } = JSON.parse(command) as Command;
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    return counts;
  }

  /** The log in a fresh engine gives the same results and the same state, or the first difference is thrown. */
  expectEqualReplay(change: (command: Command) => Command = (command) => command): void {
    const engine = new Engine(new EngineState(JSON.parse(this.#settings) as EngineSettings));
    for (const [at, { command, result }] of this.#entries.entries()) {
      const replayed = textOf(engine.execute(change(JSON.parse(command) as Command)));
      if (replayed !== result) expect(replayed, `result of command ${at}, ${command}`).toBe(result);
      engine.takeEffects();
    }
    expectEqual(engine, this.engine);
    expectEqual(restored(this.engine), this.engine);
  }
}

function expectEqual(engine: Engine, original: Engine): void {
  const [actual, expected] = [dump(engine), dump(original)];
  if (actual !== expected) expect(actual.split('\n')).toEqual(expected.split('\n'));
}

/** The engine of a snapshot. */
function restored(engine: Engine): Engine {
  const reader = new StateReader(SNAPSHOT_CLASSES);
  for (const row of writeState(engine)) if (row !== '') reader.add(JSON.parse(row) as NodeRow);
  return reader.end();
}
