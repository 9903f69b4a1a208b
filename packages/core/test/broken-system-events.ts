import type { Storage } from '../src/index.js';
import type { SystemEvent } from '../src/storage/system-events.js';
import type { Mistake } from './mistakes.js';

/** A follower whose events pass through `change`; `undefined` drops one. */
const follows = (change: (event: SystemEvent) => SystemEvent | undefined): Mistake =>
  async function* (params, original) {
    for await (const event of original(params) as unknown as AsyncIterable<SystemEvent>) {
      const changed = change(event);
      if (changed) yield changed;
    }
  };

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
    'forgets the fields': (({ fields: _, ...params }: { fields?: object }, original: unknown) => {
      (original as (event: object) => void)(params);
    }) as never,
    'publishes twice': ((params: object, original: (event: object) => void) => {
      original(params);
      original(params);
    }) as never,
  },
  'systemEvents.follow': {
    'has no recent events': (params, original) => original({ ...params, recent: 0 }),
    'has more recent events than were asked for': (params, original) => original({ ...params, recent: 100 }),
    'forgets dead letters': follows((event) => (event.kind === 'dead_letter' ? undefined : event)),
    'forgets late outcomes': follows((event) => (event.kind === 'late_outcome' ? undefined : event)),
    'forgets tenants at their limit': follows((event) =>
      event.kind === 'tenant_at_limit' ? undefined : event,
    ),
    'forgets lost workers': follows((event) => (event.kind === 'worker_lost' ? undefined : event)),
    'tells the time as text': follows((event) => ({ ...event, at: String(event.at) }) as never),
    'goes on after its signal': (params, original) =>
      original({ ...params, signal: new AbortController().signal }),
  },
};
