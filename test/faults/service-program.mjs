// A service in a process of its own: answers each call with 202, and reports the result if SERVICE_REPORTS is
// set. Writes a line of JSON to stdout for its port, and for each call. It ends with its stdin.
import { createServer } from 'node:http';
import { WebSocket } from 'ws';

const { SERVICE_PORT = '0', SERVICE_REPORTS, SERVICE_TOKEN, ORCHESTRATOR_URL = '' } = process.env;

function print(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

async function report(call, jobId) {
  const socket = new WebSocket(`${ORCHESTRATOR_URL.replace(/^http/, 'ws')}/ws/task_updates`);
  socket.on('open', () =>
    socket.send(JSON.stringify({ service_token: SERVICE_TOKEN, service_name: 'query' })),
  );
  socket.once('message', () => {
    const about = { service: 'query', task_id: jobId, tenant_id: call.tenant_id };
    socket.send(JSON.stringify({ event: 'task_completed', ...about, data: { by: process.pid } }));
  });
}

const server = createServer((request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    const call = JSON.parse(Buffer.concat(chunks).toString());
    const jobId = `job-${call.call_id}`;
    response.writeHead(202, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ job_id: jobId }));
    response.on('finish', () => {
      print({ call_id: call.call_id, attempt: call.attempt });
      if (SERVICE_REPORTS) void report(call, jobId);
    });
  });
});
server.listen(Number(SERVICE_PORT), '127.0.0.1', () => print({ port: server.address().port }));
process.stdin.once('end', () => process.exit(0)).resume();
