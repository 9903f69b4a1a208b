import { readdirSync, readFileSync } from 'node:fs';

/** One mutated line of a script, or of a part that scripts share. */
export interface Mutant {
  /** The file in `lua/`. */
  readonly file: string;
  readonly line: string;
  readonly mutated: string;
}

const LUA = new URL('../../lua/', import.meta.url);
const NOTHING = 'do end';

const WRITE =
  /^redis\.call\('(?:SET|HSET|HDEL|HINCRBY|ZADD|ZREM|RPUSH|LPOP|LREM|SADD|SREM|XADD|DEL|UNLINK|PUBLISH|HSETNX|LSET|XDEL|XTRIM|ZREMRANGEBYRANK)'.*\)$/;
/** Removed statements: a call of a part's function, an assigned field, a counter. */
const STEP = /^(?:table\.remove|(?!tonumber)[a-z]\w*)\(.*\)$/;
const ASSIGNMENT = /^[a-z]\w*(?:\.|\[).* = .*[^,({]$/;
const COUNTING = /^(?!local )[a-z]\w* = .*[^,({]$/;
const CONDITION = /^(if|elseif) (.*) then$/;
/** A comparison that decides a value or an answer. */
const VERDICT = /^((?:local \w+ =|return)) ((?:not )?[^,{]* (?:==|~=|<|>|<=|>=) [^,{]*)$/;
const YES_OR_NO = /^return (true|false)$/;
const ANSWER = /^return finish\((?:\{ )?'(\w+)'/;

/**
 * The mutant of a line: a removed write, call or assignment, a negated condition or comparison, another
 * answer.
 */
function mutate(line: string): string | undefined {
  if ([WRITE, STEP, ASSIGNMENT, COUNTING].some((kind) => kind.test(line))) return NOTHING;
  const condition = CONDITION.exec(line);
  if (condition) return `${condition[1]} not (${condition[2]}) then`;
  const verdict = VERDICT.exec(line);
  if (verdict) return `${verdict[1]} not (${verdict[2]})`;
  const yesOrNo = YES_OR_NO.exec(line);
  if (yesOrNo) return `return ${yesOrNo[1] === 'true' ? 'false' : 'true'}`;
  const answer = ANSWER.exec(line);
  return answer ? line.replace(`'${answer[1]}'`, "'another_answer'") : undefined;
}

function mutantsOf(file: string): Mutant[] {
  const lines = readFileSync(new URL(file, LUA), 'utf8').split('\n');
  const found = new Map<string, Mutant>();
  for (const raw of lines) {
    const line = raw.trim();
    const mutated = line.startsWith('--') ? undefined : mutate(line);
    if (mutated !== undefined) found.set(line, { file, line, mutated });
  }
  return [...found.values()];
}

function filesIn(folder: string): string[] {
  return readdirSync(new URL(folder, LUA))
    .filter((name) => name.endsWith('.lua'))
    .map((name) => folder + name);
}

/** All mutants of these kinds, by file. */
export const MUTANTS: ReadonlyMap<string, readonly Mutant[]> = new Map(
  [...filesIn('./'), ...filesIn('./lib/')].map((path) => [path.slice(2), mutantsOf(path.slice(2))]),
);

/** The scripts with a mutant. */
export function withMistake(
  scripts: Readonly<Record<string, string>>,
  { line, mutated }: Mutant,
): Record<string, string> {
  const change = (text: string) =>
    text
      .split('\n')
      .map((each) => (each === line ? mutated : each))
      .join('\n');
  return Object.fromEntries(Object.entries(scripts).map(([name, text]) => [name, change(text)]));
}
