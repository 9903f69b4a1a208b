// `npm start -- --config examples/quick-start/orchestrator.config.mjs`: the local stack, and a workflow that
// waits for an approval.
export default {
  workflows: {
    refund: async (ctx, { amount }) => {
      await ctx.progress({ message: 'waiting for an approval' });
      const { approved } = await ctx.waitForSignal('approval');
      return { refunded: approved ? amount : 0 };
    },
  },
};
