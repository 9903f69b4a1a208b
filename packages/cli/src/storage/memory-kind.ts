import { MemoryStorage } from '@agent-orchestrator/core';
import type { StorageAddress, StorageKind } from './storage-kind.js';

/** Storage in this process: it ends with it. */
const IN_MEMORY: StorageAddress = {
  label: 'memory:',
  open: async () => new MemoryStorage(),
  serviceStorage: () => 'memory:',
};

export const memoryKind: StorageKind = {
  schemes: ['memory'],
  form: 'memory:',
  read: (value) => (value === 'memory:' ? IN_MEMORY : undefined),
};
