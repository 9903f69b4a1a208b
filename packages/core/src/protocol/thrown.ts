/** What a thrown value says: the message of an error, else the value as text. Never throws. */
export function messageOf(thrown: unknown): string {
  try {
    return String(thrown instanceof Error ? thrown.message : thrown);
  } catch {
    return 'something that has no text was thrown';
  }
}

/** The name of a thrown error's class; `Error` for what has none. Never throws. */
export function classNameOf(thrown: unknown): string {
  try {
    const name: unknown = thrown instanceof Error ? thrown.constructor.name : '';
    return typeof name === 'string' && name !== '' ? name : 'Error';
  } catch {
    return 'Error';
  }
}

/** Whether a thrown value has `retryable: true`. Never throws. */
export function saysRetryable(thrown: unknown): boolean {
  try {
    return (thrown as { readonly retryable?: unknown } | null | undefined)?.retryable === true;
  } catch {
    return false;
  }
}
