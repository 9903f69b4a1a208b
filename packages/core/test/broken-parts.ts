import { brokenCache } from './broken-cache.js';
import { brokenClaimedMessages } from './broken-claimed-messages.js';
import { brokenDeadLetters } from './broken-dead-letters.js';
import { brokenOwnWork } from './broken-own-work.js';
import { brokenBudgets } from './broken-budgets.js';
import { brokenRates } from './broken-rates.js';
import { brokenRecovery } from './broken-recovery.js';
import { brokenRepeats } from './broken-repeats.js';
import { brokenSystemEvents } from './broken-system-events.js';

/** Mistakes of single parts of a storage, each in a file of its own. */
export const BROKEN_PARTS = [
  brokenCache,
  brokenClaimedMessages,
  brokenDeadLetters,
  brokenOwnWork,
  brokenBudgets,
  brokenRates,
  brokenRecovery,
  brokenRepeats,
  brokenSystemEvents,
];
