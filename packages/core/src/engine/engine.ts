import type { Command, CommandName, CommandResult } from './command.js';
import { COMMANDS } from './commands.js';
import type { Effects, EngineState } from './engine-state.js';
import { type EngineParts, partsOf } from './engine-parts.js';
import { systemEventOf } from './events/answer-events.js';
import { type Read, type ReadName, READS, type ReadResult } from './reads.js';

/**
 * The rules of a storage as a deterministic state machine. Its state changes by commands only, each in one synchronous piece
 * of code; it has no clock, no source of randomness and no timers of its own. A log of the commands is enough to rebuild it.
 */
export class Engine {
  private readonly parts: EngineParts;

  constructor(readonly state: EngineState) {
    this.parts = partsOf(state);
  }

  /** Carries out a command. Its effects outside of the state wait for `takeEffects`. */
  execute<N extends CommandName>(command: Command<N>): CommandResult<N> {
    this.state.begin(command.at, command.seed);
    const result = COMMANDS[command.name](this.parts, command.params);
    const event = systemEventOf(command, result);
    if (event) this.state.publishSystemEvent(event);
    return result;
  }

  read<N extends ReadName>({ name, at, params }: Read<N>): ReadResult<N> {
    this.state.begin(at);
    return READS[name](this.parts, params);
  }

  /** Wakeups and system events of the commands since the last call, and the followed logs that they have appended to. */
  takeEffects(): Effects {
    return this.state.takeEffects();
  }
}
