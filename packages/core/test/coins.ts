/** Numbers from 0 to 1: the same for the same seed, so that a failure can be repeated. */
export function coins(seed: number): () => number {
  let state = seed + 1;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}
