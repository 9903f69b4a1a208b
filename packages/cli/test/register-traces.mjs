// For `node --import`: an SDK that appends each span, whole, to the file `TRACE_FILE`.
import { appendFileSync } from 'node:fs';
import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node';

const processor = {
  onStart() {},
  onEnd({ name, kind, attributes, events, links, status }) {
    const line = JSON.stringify({ name, kind, attributes, events, links, status });
    appendFileSync(process.env.TRACE_FILE ?? 'traces.ndjson', `${line}\n`);
  },
  forceFlush: async () => {},
  shutdown: async () => {},
};
new NodeTracerProvider({ spanProcessors: [processor] }).register();
