import { checked, type StoragePorts } from '../../storage/checked-storage.js';
import type { CommandGate } from '../engine-gate.js';
import { eventLog } from './event-log.js';
import { callJournal, taskQueue, taskRecords, workerDirectory } from './task-ports.js';
import { cacheStore } from './cache-store.js';
import { rateStore, sessionStore, tenantStore, ticketStore, usageLedger } from './tenant-ports.js';

/** The ports of a storage whose commands go through `gate`; they check their params. */
export function storagePorts(gate: CommandGate): StoragePorts {
  return checked<StoragePorts>({
    tasks: taskRecords(gate),
    queue: taskQueue(gate),
    journal: callJournal(gate),
    sessions: sessionStore(gate),
    events: eventLog(gate),
    tenants: tenantStore(gate),
    tickets: ticketStore(gate),
    rates: rateStore(gate),
    usage: usageLedger(gate),
    cache: cacheStore(gate),
    workers: workerDirectory(gate),
  });
}
