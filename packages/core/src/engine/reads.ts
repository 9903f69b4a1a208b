import type { ClaimCachedResult } from '../storage/cache-store.js';
import type {
  ChangesSinceParams,
  ChangesSinceResult,
  HeldReportParams,
  ReadJournalParams,
  ReadJournalResult,
  ReportAnswer,
} from '../storage/call-journal.js';
import type { LogHeadParams, ReadEventsParams, ReadEventsResult } from '../storage/event-log.js';
import type {
  GetSessionParams,
  ListMessagesParams,
  ListSessionsParams,
  ListSessionsResult,
  SessionState,
} from '../storage/session-store.js';
import type {
  CountTasksParams,
  CountTasksResult,
  ExplainParams,
  Explanation,
  FirstReadyParams,
  GetBatchParams,
  GetTaskParams,
  GetTaskResult,
  ListTasksParams,
  ListTasksResult,
} from '../storage/task-records.js';
import type {
  GetTenantParams,
  ListTenantsParams,
  ListTenantsResult,
  TenantStats,
} from '../storage/tenant-store.js';
import type { SumUsageParams, UsageSum } from '../storage/usage-ledger.js';
import type { AnnouncedType, ReadAnnouncedTypeParams, WorkerEntry } from '../storage/worker-directory.js';
import type { Message } from '../protocol/session.js';
import type { Batch, Task } from '../protocol/task.js';
import type { ReadCachedParams } from './cache/caches.js';
import type { EngineParts } from './engine-parts.js';
import type { StoredPage } from './events/event-logs.js';

interface Reading<Params, Result> {
  readonly params: Params;
  readonly result: Result;
}

/** What can be read of an engine, by name. A read changes nothing, and is in no log. */
interface ReadTypes {
  'tasks.get': Reading<GetTaskParams, GetTaskResult>;
  'tasks.getBatch': Reading<GetBatchParams, Batch | undefined>;
  'tasks.list': Reading<ListTasksParams, ListTasksResult>;
  'tasks.counts': Reading<CountTasksParams, CountTasksResult>;
  'tasks.firstReady': Reading<FirstReadyParams, readonly Task[]>;
  'tasks.explain': Reading<ExplainParams, Explanation | undefined>;
  'journal.changesSince': Reading<ChangesSinceParams, ChangesSinceResult>;
  'journal.read': Reading<ReadJournalParams, ReadJournalResult>;
  'journal.heldReport': Reading<HeldReportParams, ReportAnswer>;
  'sessions.get': Reading<GetSessionParams, SessionState | undefined>;
  'sessions.messages': Reading<ListMessagesParams, readonly Message[] | undefined>;
  'sessions.list': Reading<ListSessionsParams, ListSessionsResult>;
  'events.head': Reading<LogHeadParams, string>;
  'events.read': Reading<ReadEventsParams, ReadEventsResult>;
  'events.page': Reading<ReadEventsParams, StoredPage>;
  'tenants.get': Reading<GetTenantParams, TenantStats>;
  'tenants.list': Reading<ListTenantsParams, ListTenantsResult>;
  'usage.sum': Reading<SumUsageParams, readonly UsageSum[]>;
  'cache.get': Reading<ReadCachedParams, ClaimCachedResult | undefined>;
  'workers.announced': Reading<ReadAnnouncedTypeParams, AnnouncedType | undefined>;
  'workers.list': Reading<Readonly<Record<string, never>>, readonly WorkerEntry[]>;
}

export type ReadName = keyof ReadTypes;
export type ReadParams<N extends ReadName> = ReadTypes[N]['params'];
export type ReadResult<N extends ReadName> = ReadTypes[N]['result'];

export interface Read<N extends ReadName = ReadName> {
  readonly name: N;
  /** The clock, epoch ms. */
  readonly at: number;
  readonly params: ReadParams<N>;
}

type Readers = { readonly [N in ReadName]: (parts: EngineParts, params: ReadParams<N>) => ReadResult<N> };

export const READS: Readers = {
  'tasks.get': ({ tasks }, params) => tasks.get(params),
  'tasks.getBatch': ({ tasks }, params) => tasks.getBatch(params),
  'tasks.list': ({ tasks }, params) => tasks.list(params),
  'tasks.counts': ({ tasks }, params) => tasks.counts(params),
  'tasks.firstReady': ({ tasks }, params) => tasks.firstReady(params),
  'tasks.explain': ({ tasks }, params) => tasks.explain(params),
  'journal.changesSince': ({ journals }, params) => journals.changesSince(params),
  'journal.read': ({ journals }, params) => journals.read(params),
  'journal.heldReport': ({ journals }, params) => journals.heldReport(params),
  'sessions.get': ({ sessions }, params) => sessions.get(params),
  'sessions.messages': ({ sessions }, params) => sessions.messages(params),
  'sessions.list': ({ sessions }, params) => sessions.list(params),
  'events.head': ({ events }, params) => events.head(params),
  'events.read': ({ events }, params) => events.read(params),
  'events.page': ({ events }, params) => events.page(params),
  'tenants.get': ({ tenants }, params) => tenants.get(params),
  'tenants.list': ({ tenants }, params) => tenants.list(params),
  'usage.sum': ({ usage }, params) => usage.sum(params),
  'cache.get': ({ cache }, params) => cache.get(params),
  'workers.announced': ({ workers }, params) => workers.announced(params),
  'workers.list': ({ workers }) => workers.list(),
};
