import { afterAll, describe } from 'vitest';
import { FaultTable } from './fault-table.js';
import { badAnswersOfServices } from './rows/bad-answers.js';
import { badFrames } from './rows/bad-frames.js';
import { floods } from './rows/floods.js';
import { lostLinks } from './rows/lost-links.js';
import { outcomeTable } from './rows/outcome-table.js';
import { killedService } from './rows/killed-service.js';

const table = new FaultTable();
afterAll(() => table.print());

describe('row of the fault matrix', () => {
  killedService(table);
  lostLinks(table);
  outcomeTable(table);
  floods(table);
  badAnswersOfServices(table);
  badFrames(table);
});
