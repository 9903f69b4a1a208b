import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface SlowModel extends AsyncDisposable {
  readonly url: string;
  /** Resolves when the caller has disconnected. */
  readonly hungUp: Promise<void>;
}

/** An OpenAI-compatible server that writes the first words of an answer, and then nothing more. */
export async function slowModel(): Promise<SlowModel> {
  let onHangUp = () => {};
  const hungUp = new Promise<void>((resolve) => {
    onHangUp = resolve;
  });
  const server = createServer((request, response) => {
    if (!request.url?.endsWith('/chat/completions')) {
      response.writeHead(404).end('{}');
      return;
    }
    request.resume();
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(`data: ${JSON.stringify({ choices: [{ delta: { content: 'The first words' } }] })}\n\n`);
    response.on('close', onHangUp);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    hungUp,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
