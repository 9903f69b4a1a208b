import assert from 'node:assert/strict';
import type { PublishSystemEventParams } from '../storage/system-events.js';
import type { ConformanceCase } from './conformance-case.js';

export const systemEventCases: readonly ConformanceCase[] = [
  {
    part: 'systemEvents',
    method: 'publish',
    name: 'returns at once without an answer, with and without fields, and changes nothing of the tenant it names',
    async run(t) {
      const { tenantId, storage } = t;
      await t.submit();
      const state = async () => ({
        tenant: await storage.tenants.get({ tenantId }),
        log: await t.log(),
      });
      const before = await state();
      const publish: (params: PublishSystemEventParams) => unknown = (params) =>
        storage.systemEvents.publish(params);
      assert.equal(publish({ kind: 'breaker_opened', text: 'circuit breaker opened' }), undefined);
      const fields = { tenant: tenantId, service: 'query' };
      assert.equal(publish({ kind: 'breaker_opened', text: 'für "query"\n', fields }), undefined);
      assert.deepEqual(await state(), before);
    },
  },
];
