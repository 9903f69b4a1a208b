/** Rejects when `answer` takes longer than `ms`. Without a limit returns `answer`. */
export function within<T>(ms: number | undefined, answer: Promise<T>): Promise<T> {
  return ms === undefined ? answer : limited(ms, answer);
}

async function limited<T>(ms: number, answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}
