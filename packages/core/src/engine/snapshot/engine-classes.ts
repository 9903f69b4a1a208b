import { DEFAULTS } from '../../protocol/settings.js';
import { CacheBook, CachedEntry, TenantCache } from '../cache/cache-book.js';
import { EngineState } from '../engine-state.js';
import { EventRing, LoggedEvent } from '../events/event-ring.js';
import { InOrder } from '../in-order.js';
import { HeldReports } from '../journal/held-reports.js';
import { KeptText } from '../kept-json.js';
import { ConcurrencyGroup } from '../queue/concurrency-group.js';
import { PriorityLevel, ReadyQueue } from '../queue/ready-queue.js';
import { TaskEntry } from '../tasks/task-entry.js';
import { TenantDirectory } from '../tenants/tenant-directory.js';
import { SessionEntry, TenantState } from '../tenants/tenant-state.js';
import { TenantTickets, TicketBook } from '../tenants/tickets.js';
import { UsageBook } from '../tenants/usage-book.js';
import { Heap } from '../timers/heap.js';
import { OrderedTimers, TimerQueue } from '../timers/timer-queue.js';
import { Fifo } from '../../runtime/fifo.js';
import type { GraphClasses } from './graph.js';

const NOWHERE = new TenantState('', '');
const NO_TASK = {
  task_id: '',
  type: '',
  priority: 0,
  payload: null,
  metadata: {},
  timeoutMs: 0,
  maxAttempts: 0,
};
const NO_SESSION = {
  session_id: '',
  tenant_id: '',
  status: 'active',
  created_at: '',
  updated_at: '',
  rev: 0,
} as const;

/**
 * The classes that an engine's state is made of. The names are part of the format of snapshots: a class that is renamed keeps
 * its name here.
 */
export const ENGINE_CLASSES: GraphClasses = {
  EngineState: { type: EngineState, blank: () => new EngineState({ epoch: '', limits: DEFAULTS }) },
  TenantDirectory: { type: TenantDirectory },
  TenantState: { type: TenantState, blank: () => new TenantState('', '') },
  TaskEntry: {
    type: TaskEntry,
    blank: () => new TaskEntry(NOWHERE, NO_TASK, 0, 0, {}),
    json: ['spec', 'payload', 'result', 'error', 'progress', 'diagnostic'],
  },
  SessionEntry: {
    type: SessionEntry,
    blank: () => new SessionEntry(NOWHERE, 0, NO_SESSION, {}),
    json: ['session', 'context', 'messages'],
  },
  LoggedEvent: {
    type: LoggedEvent,
    blank: () => new LoggedEvent('task_created', undefined as never, undefined, 0, null, undefined),
    json: ['from', 'data'],
    caches: ['view'],
  },
  EventRing: { type: EventRing, blank: () => new EventRing('', '') },
  KeptText: { type: KeptText, blank: () => new KeptText('', 0) },
  HeldReports: { type: HeldReports, blank: () => new HeldReports() },
  ConcurrencyGroup: { type: ConcurrencyGroup, blank: () => new ConcurrencyGroup(0, false) },
  ReadyQueue: { type: ReadyQueue, blank: () => new ReadyQueue() },
  PriorityLevel: { type: PriorityLevel, blank: () => new PriorityLevel() },
  InOrder: { type: InOrder, blank: () => new InOrder() },
  Fifo: { type: Fifo, blank: () => new Fifo() },
  Heap: { type: Heap },
  TimerQueue: { type: TimerQueue },
  OrderedTimers: { type: OrderedTimers, blank: () => new OrderedTimers() },
  UsageBook: { type: UsageBook },
  TicketBook: { type: TicketBook },
  CacheBook: { type: CacheBook },
  TenantCache: { type: TenantCache, blank: () => new TenantCache() },
  CachedEntry: {
    type: CachedEntry,
    blank: () => new CachedEntry('', '', 0, '', '', undefined, undefined),
    json: ['value'],
  },
  TenantTickets: { type: TenantTickets, blank: () => new TenantTickets() },
};
