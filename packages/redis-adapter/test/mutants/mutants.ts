// @ts-expect-error A program of the build, without types.
import { composeScripts } from '../../build/compose.mjs';
// @ts-expect-error The same.
import { luaFiles } from '../../build/lua-files.mjs';

interface Composed {
  readonly name: string;
  readonly flags: string;
  readonly statements: readonly string[];
}

/** One mutated line of a script, or of a part that scripts share. */
export interface Mutant {
  /** Path of the file below `src`. */
  readonly file: string;
  readonly line: string;
  readonly mutated: string;
}

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

function mutantsOf(file: string, text: string): Mutant[] {
  const found = new Map<string, Mutant>();
  for (const raw of text.split('\n')) {
    const line = raw.trim();
    const mutated = line.startsWith('--') ? undefined : mutate(line);
    if (mutated !== undefined) found.set(line, { file, line, mutated });
  }
  return [...found.values()];
}

const FILES = luaFiles() as ReadonlyMap<string, string>;

/** All mutants of these kinds, by file. */
export const MUTANTS: ReadonlyMap<string, readonly Mutant[]> = new Map(
  [...FILES]
    .filter(([file]) => !file.startsWith('generated/'))
    .map(([file, text]) => [file, mutantsOf(file, text)]),
);

/**
 * The scripts with a mutant: it is put into its file, and all scripts are composed again. `undefined` if it is no Lua, such
 * as without the line that ends a call.
 */
export function withMistake({ file, line, mutated }: Mutant): Record<string, string> | undefined {
  const text = (FILES.get(file) ?? '')
    .split('\n')
    .map((each) => (each.trim() === line ? mutated : each))
    .join('\n');
  let composed: readonly Composed[];
  try {
    composed = composeScripts(new Map([...FILES, [file, text]]), { lenient: true });
  } catch (error) {
    // The build names the place.
    if (error instanceof Error && error.cause instanceof SyntaxError) return undefined;
    throw error;
  }
  return Object.fromEntries(
    composed.map(({ name, flags, statements }) => [name, `#!lua flags=${flags}\n${statements.join('')}`]),
  );
}
