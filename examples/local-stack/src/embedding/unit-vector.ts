/**
 * The vector with length 1, so that a product of two is the cosine of their angle, in four decimals, so that 32 of
 * 4,096 dimensions fit into one answer. All zeros stay as they are.
 */
export function unitVector(values: readonly number[]): number[] {
  const length = Math.hypot(...values);
  return values.map((value) => (length === 0 ? 0 : Math.round((value / length) * 1e4) / 1e4));
}
