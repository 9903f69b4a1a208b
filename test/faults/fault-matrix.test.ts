import { afterAll, describe } from 'vitest';
import { FaultTable } from './fault-table.js';
import { badAnswersOfServices } from './rows/bad-answers.js';
import { badFrames } from './rows/bad-frames.js';
import { floods } from './rows/floods.js';
import { linksLost } from './rows/links-lost.js';
import { outcomeTable } from './rows/outcome-table.js';
import { serviceKilled } from './rows/service-killed.js';

const table = new FaultTable();
afterAll(() => table.print());

describe('row', () => {
  serviceKilled(table);
  linksLost(table);
  outcomeTable(table);
  floods(table);
  badAnswersOfServices(table);
  badFrames(table);
});
