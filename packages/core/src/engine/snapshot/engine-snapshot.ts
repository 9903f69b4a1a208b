import { DEFAULTS } from '../../protocol/settings.js';
import { Engine } from '../engine.js';
import { EngineState } from '../engine-state.js';
import { ENGINE_CLASSES } from './engine-classes.js';
import type { NodeRow } from './graph.js';
import { GraphReader } from './graph-reader.js';
import { writeGraph } from './graph-writer.js';

/** Names of the classes that a snapshot written now is made of. */
export const SNAPSHOT_CLASSES: readonly string[] = Object.keys(ENGINE_CLASSES);

/** The whole state as rows of JSON. The engine must not carry out a command meanwhile. */
export function writeState(engine: Engine): Generator<string> {
  return writeGraph(engine.state, ENGINE_CLASSES);
}

/** Makes an engine of the rows of a snapshot. */
export class StateReader {
  readonly #graph: GraphReader;

  /** @param classes names of those that the snapshot is made of. @throws for an unknown one. */
  constructor(classes: readonly string[]) {
    this.#graph = new GraphReader(ENGINE_CLASSES, classes);
  }

  add(row: NodeRow): void {
    this.#graph.add(row);
  }

  /** @throws if rows are missing. */
  end(): Engine {
    const state = this.#graph.end();
    if (!(state instanceof EngineState)) throw new Error('expected the state of an engine');
    // Of an older version: it lacks what was added since. The object is shared by the parts of the state.
    Object.assign(state.limits, { ...DEFAULTS, ...state.limits });
    return new Engine(state);
  }
}
