/** Fields that readers fill in: caches, no state. */
const CACHES = new Set(['view']);

/**
 * Everything that can be reached from `root`, as text: one line for each object, in the order in which they are found, by its
 * class, fields and elements. Equal states have equal texts, byte for byte. An absent field is the same as an undefined one,
 * as in JSON.
 */
export function dump(root: object): string {
  const numbers = new Map<object, number>([[root, 0]]);
  const found: object[] = [root];
  const refer = (value: unknown): string => {
    if (typeof value === 'function') return 'function';
    if (typeof value !== 'object' || value === null) return Object.is(value, -0) ? '-0' : literal(value);
    let number = numbers.get(value);
    if (number === undefined) {
      number = found.length;
      numbers.set(value, number);
      found.push(value);
    }
    return `#${number}`;
  };
  const lines: string[] = [];
  // The list grows while it is read.
  for (const [at, value] of found.entries()) {
    const { name } = (Object.getPrototypeOf(value) as object | null)?.constructor ?? { name: 'null' };
    lines.push(`#${at} ${name} ${partsOf(value, refer).join(' ')}`);
  }
  return lines.join('\n');
}

function partsOf(value: object, refer: (part: unknown) => string): string[] {
  if (value instanceof Map) return [...value].map(([key, part]) => `${refer(key)}=>${refer(part)}`);
  if (value instanceof Set) return [...value].map(refer);
  if (Array.isArray(value)) return Array.from(value, refer);
  return Object.keys(value)
    .filter((key) => !CACHES.has(key))
    .toSorted()
    .map((key) => [key, (value as Record<string, unknown>)[key]] as const)
    .filter(([, part]) => part !== undefined)
    .map(([key, part]) => `${key}:${refer(part)}`);
}

function literal(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}
