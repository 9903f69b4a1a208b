export {
  CaseTools,
  type CaseLimits,
  type ConformanceCase,
  type StoragePart,
  type StorageUnderTest,
} from './conformance-case.js';
export { runCase, storageConformance, titleOf } from './storage-conformance.js';
export { type EntryStoreCase, entryStoreConformance, type EntryStoreUnderTest } from './entry-store-cases.js';
