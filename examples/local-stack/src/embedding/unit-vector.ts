/**
 * The vector scaled to length 1, so that a dot product is the cosine. Four decimals: 32 vectors of 4,096
 * dimensions fit into one response. A zero vector stays zero.
 */
export function unitVector(values: readonly number[]): number[] {
  const length = Math.hypot(...values);
  return values.map((value) => (length === 0 ? 0 : Math.round((value / length) * 1e4) / 1e4));
}
