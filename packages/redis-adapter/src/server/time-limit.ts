/** What was asked, or an error when it takes longer than `ms`. Without a limit it is just what was asked. */
export function within<T>(ms: number | undefined, asked: Promise<T>): Promise<T> {
  return ms === undefined ? asked : limited(ms, asked);
}

async function limited<T>(ms: number, asked: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([asked, late]);
  } finally {
    clearTimeout(timer);
  }
}
