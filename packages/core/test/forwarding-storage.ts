import type { Storage } from '../src/index.js';
import type { SystemEvent } from '../src/storage/index.js';

/** Parts of a storage whose methods take params and answer, or follow. */
const PARTS = [
  'tasks',
  'queue',
  'journal',
  'sessions',
  'events',
  'tenants',
  'tickets',
  'rates',
  'usage',
  'cache',
  'workers',
] as const;

type CalledPart = (typeof PARTS)[number];
export type Part = CalledPart | 'systemEvents';
type Methods = Record<string, (params: unknown) => unknown>;

/** What becomes of the uses of a storage that stands for others. */
export interface Forwarding {
  call(part: CalledPart, method: string, params: unknown): Promise<unknown>;
  follow(part: Part, method: string, params: unknown): AsyncIterable<unknown>;
  publish: Storage['systemEvents']['publish'];
  subscribe: Storage['wakeups']['subscribe'];
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** Calls a method by its name. */
export function callOf(storage: Storage, part: Part, method: string, params: unknown): unknown {
  return (storage as unknown as Record<string, Methods>)[part]?.[method]?.(params);
}

/** A storage each use of which is forwarded. */
export function forwardingStorage(forwarding: Forwarding): Storage {
  const partOf = (part: CalledPart) =>
    new Proxy<Methods>(
      {},
      {
        get: (_, method: string) => (params: unknown) =>
          method.startsWith('follow')
            ? forwarding.follow(part, method, params)
            : forwarding.call(part, method, params),
      },
    );
  return {
    ...(Object.fromEntries(PARTS.map((part) => [part, partOf(part)])) as unknown as Storage),
    wakeups: { subscribe: (listener) => forwarding.subscribe(listener) },
    systemEvents: {
      publish: (params) => forwarding.publish(params),
      follow: (params) => forwarding.follow('systemEvents', 'follow', params) as AsyncIterable<SystemEvent>,
    },
    ping: () => forwarding.ping(),
    close: () => forwarding.close(),
  };
}
