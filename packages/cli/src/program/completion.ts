import type { Command } from 'commander';

export const SHELLS = ['bash', 'zsh'] as const;
export type Shell = (typeof SHELLS)[number];

/** What may follow a command: its commands, or its flags and files. */
interface Node {
  readonly path: string;
  readonly commands: readonly string[];
  readonly flags: readonly string[];
}

function* nodesOf(command: Command, path = '', inherited: readonly string[] = []): Generator<Node> {
  const flags = [...command.options.flatMap(({ long }) => (long ? [long] : [])), ...inherited, '--help'];
  const commands = command.commands.map((child) => child.name());
  yield { path, commands, flags: [...new Set(flags)] };
  for (const child of command.commands)
    yield* nodesOf(
      child,
      path === '' ? child.name() : `${path} ${child.name()}`,
      path === '' ? flags : inherited,
    );
}

/** A script that completes the commands and flags of a program: `eval "$(orchestrator-cli completion bash)"`. */
export function completionScript(program: Command, shell: Shell): string {
  const name = program.name();
  const nodes = [...nodesOf(program)];
  const known = nodes.filter(({ path }) => path !== '').map(({ path }) => `'${path}'`);
  const cases = nodes.map(
    ({ path, commands, flags }) =>
      `    '${path}') commands='${commands.join(' ')}'; flags='${flags.join(' ')}' ;;`,
  );
  const head = shell === 'zsh' ? ['autoload -U +X bashcompinit && bashcompinit'] : [];
  return [
    `# Completion of ${name} for ${shell}: eval "$(${name} completion ${shell})"`,
    ...head,
    '_orchestrator_cli() {',
    '  local word path="" next commands="" flags="" at',
    '  local current="${COMP_WORDS[COMP_CWORD]}"',
    '  for (( at = 1; at < COMP_CWORD; at++ )); do',
    '    word="${COMP_WORDS[at]}"',
    '    next="${path:+$path }$word"',
    '    case "$next" in',
    `      ${known.join('|')}) path="$next" ;;`,
    '    esac',
    '  done',
    '  case "$path" in',
    ...cases,
    '  esac',
    '  if [[ "$current" == -* ]]; then',
    '    COMPREPLY=($(compgen -W "$flags" -- "$current"))',
    '  elif [[ -n "$commands" ]]; then',
    '    COMPREPLY=($(compgen -W "$commands" -- "$current"))',
    '  else',
    '    COMPREPLY=($(compgen -f -- "$current"))',
    '  fi',
    '}',
    `complete -o filenames -F _orchestrator_cli ${name}`,
  ].join('\n');
}
