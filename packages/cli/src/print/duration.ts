/** A duration for people: `340 ms`, `2.9 s`, `4 min 5 s`, `3 h 20 min`. */
export function durationText(ms: number): string {
  const at = Math.max(0, ms);
  if (at < 1_000) return `${Math.round(at)} ms`;
  if (at < 60_000) return `${(Math.floor(at / 100) / 10).toFixed(1)} s`;
  const seconds = Math.floor(at / 1_000);
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3_600)} h ${Math.floor((seconds % 3_600) / 60)} min`;
}
