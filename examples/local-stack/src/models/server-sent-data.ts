/** Data of the events of a `text/event-stream`, in order. Comments and other fields are skipped. */
export async function* serverSentData(parts: AsyncIterable<string>): AsyncGenerator<string, void> {
  let rest = '';
  let data: string[] = [];
  for await (const part of parts) {
    const lines = (rest + part).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line.startsWith('data:')) data.push(line.slice(5).replace(/^ /, ''));
      if (line !== '' || data.length === 0) continue;
      yield data.join('\n');
      data = [];
    }
  }
  // A stream without its last blank line: the last event counts if it is complete.
  if (rest.startsWith('data:')) data.push(rest.slice(5).replace(/^ /, ''));
  if (data.length > 0) yield data.join('\n');
}
