const SMALL =
  'zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen'.split(
    ' ',
  );
const TENS = 'twenty thirty forty fifty sixty seventy eighty ninety'.split(' ');
const SCALES: Readonly<Record<string, number>> = {
  thousand: 1e3,
  million: 1e6,
  billion: 1e9,
  trillion: 1e12,
};
const VALUES = new Map<string, number>([
  ...SMALL.map((word, at): [string, number] => [word, at]),
  ...TENS.map((word, at): [string, number] => [word, (at + 2) * 10]),
]);
const NUMBER_WORD = [...VALUES.keys(), 'hundred', ...Object.keys(SCALES)].join('|');
const SEQUENCE = new RegExp(
  `\\b(?:an? (?=hundred|thousand|million|billion|trillion))?(?:${NUMBER_WORD})(?:(?:\\s+and\\s+|[\\s-]+)(?:${NUMBER_WORD}))*\\b(?:\\s+point(?:\\s+(?:${SMALL.slice(0, 10).join('|')}))+)?`,
  'gi',
);
const DOZENS = new RegExp(`\\b(\\d+|${SMALL.slice(1).join('|')}) dozens?\\b`, 'gi');
const WITH_SCALE = /(?<![\w.])(\d+(?:\.\d+)?)\s*(thousand|million|billion|trillion|k)\b/gi;

/** Writes spelled numbers as digits: `twenty-five` → `25`, `two hundred and five` → `205`, `3 million` → `3000000`. */
export function digitsForWords(text: string): string {
  return text
    .replace(DOZENS, (_match, count: string) =>
      String(12 * (VALUES.get(count.toLowerCase()) ?? Number(count))),
    )
    .replace(/\b(?:a |one )?dozen\b/gi, '12')
    .replace(WITH_SCALE, (_match, count: string, scale: string) =>
      String(Number(count) * (SCALES[scale.toLowerCase()] ?? 1e3)),
    )
    .replace(SEQUENCE, (words) => valuesOf(words.toLowerCase()).join(' and '));
}

/** Numbers in a run of number words: `two and three` are two, `two hundred and three` is one. */
function valuesOf(words: string): string[] {
  const [whole = '', decimals] = words.split(/\s+point\s+/);
  const numbers: number[] = [];
  let total = 0;
  let group: number | undefined;
  const close = () => {
    if (group !== undefined || total > 0) numbers.push(total + (group ?? 0));
    total = 0;
    group = undefined;
  };
  for (const word of whole.replace(/^an? /, 'one ').split(/[\s-]+/)) {
    const value = VALUES.get(word);
    const scale = SCALES[word];
    if (word === 'hundred') group = (group ?? 1) * 100;
    else if (scale !== undefined) {
      total += (group ?? 1) * scale;
      group = undefined;
    } else if (value !== undefined) {
      if (group !== undefined && !fitsBehind(group, value)) close();
      group = (group ?? 0) + value;
    }
  }
  close();
  const digits = decimals
    ?.split(/\s+/)
    .map((word) => VALUES.get(word) ?? 0)
    .join('');
  return numbers.map((number, at) =>
    digits !== undefined && at === numbers.length - 1 ? `${number}.${digits}` : String(number),
  );
}

/** Whether `twenty` may be followed by `five`, `two hundred` by `three`. */
function fitsBehind(group: number, value: number): boolean {
  if (group >= 100 && group % 100 === 0) return value > 0;
  return group % 100 >= 20 && group % 10 === 0 && value > 0 && value < 10;
}
