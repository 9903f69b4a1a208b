const MAX_LENGTH = 4_000;

/** What the log has of something that foreign code threw: the stack of an error, else the value as text. Never throws. */
export function describeThrown(thrown: unknown): string {
  try {
    const text = thrown instanceof Error ? (thrown.stack ?? thrown.message) : thrown;
    return String(text).slice(0, MAX_LENGTH);
  } catch {
    return 'something that cannot be shown was thrown';
  }
}
