import type { Storage } from '../src/index.js';
import type { Mistake } from './mistakes.js';

/** Mistakes in the events for operators. */
export const brokenSystemEvents: Readonly<Record<string, Readonly<Record<string, Mistake>>>> = {
  'systemEvents.publish': {
    throws: () => {
      throw new Error('cannot be published');
    },
    'makes the caller wait': async () => undefined,
    'changes the tenant': ((params: { fields?: { tenant?: string } }, _: unknown, storage: Storage) => {
      const tenantId = params.fields?.tenant;
      if (tenantId !== undefined) void storage.tenants.configure({ tenantId, paused: true });
    }) as never,
  },
};
