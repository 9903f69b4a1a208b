import {
  batchSubmissionSchema,
  chatRequestSchema,
  taskSubmissionSchema,
} from '@agent-orchestrator/core/protocol';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { startServer } from './running-server.js';

const TASK = { type: 'echo', payload: { n: 1 } };
const CHAT = { message: 'hello' };

describe('a request body', () => {
  it.each([
    ['/v1/tasks', TASK, [1, 0, 0]],
    ['/v1/chat', CHAT, [0, 1, 0]],
    // The items are validated one by one, since an invalid one fails alone.
    ['/v1/batch', { requests: [TASK, CHAT, TASK] }, [2, 1, 1]],
  ] as const)('of %s is validated once', async (path, body, times) => {
    const schemas = [taskSubmissionSchema, chatRequestSchema, batchSubmissionSchema];
    const spies = schemas.map((schema) => vi.spyOn(schema, 'safeParse'));
    onTestFinished(() => spies.forEach((spy) => spy.mockRestore()));
    const running = await startServer();
    const { status } = await running.ask('POST', path, { body });
    expect(status).toBe(202);
    expect(spies.map((spy) => spy.mock.calls.length)).toEqual(times);
  });

  it('that this process submits itself is validated too', async () => {
    const { orchestrator } = await startServer();
    const { tasks } = orchestrator.tenant('acme');
    await expect(tasks.submit({ type: 'echo', priority: 12 })).rejects.toMatchObject({
      code: 'invalid_request',
    });
  });
});
