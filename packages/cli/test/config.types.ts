// What a config file in TypeScript may say: compiled, not run.
import { defineWorkflow } from '@agent-orchestrator/core';
import { z } from 'zod';
import { defineConfig } from '../src/index.js';

const refund = defineWorkflow('refund', { input: z.object({ order: z.string() }) }, (_, { order }) => order);

defineConfig({
  storage: 'memory:',
  redis: { nodes: ['h:6379'] },
  workflows: {
    refund,
    hello: async (ctx, input) => [ctx.taskId, input],
    greet: async (ctx, input: { readonly name: string }) => [ctx.taskId, input.name],
  },
});

defineConfig({ workflows: { hello: (ctx) => ctx.taskId.length } });

// @ts-expect-error a mistyped setting
defineConfig({ storrage: 'memory:' });
// @ts-expect-error no function
defineConfig({ workflows: { hello: 'hello' } });
defineConfig({
  workflows: {
    // @ts-expect-error the input is unknown until the function says what it is
    hello: (_, input) => input.name,
  },
});
// @ts-expect-error a storage is a URL
defineConfig({ storage: { nodes: ['h'] } });
