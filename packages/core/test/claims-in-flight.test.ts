import { expect, it } from 'vitest';
import type { Claim } from '../src/storage/index.js';
import type { ClaimAnswer } from '../src/worker/claim-caller.js';
import { type ClaimRequest, ClaimsInFlight } from '../src/worker/claims-in-flight.js';

it('a worker repeats every claim whose answer was lost, though the queue looks empty', async () => {
  const asked: string[] = [];
  const answers: ((answer: ClaimAnswer | undefined) => void)[] = [];
  const claims = new ClaimsInFlight('w', 100, ({ claimId }: ClaimRequest) => {
    asked.push(claimId);
    return new Promise((resolve) => answers.push(resolve));
  });
  const sendAll = () => {
    while (claims.maySend) claims.send(1, 1);
  };
  const some = { claims: [{} as Claim], leasedUntil: 7 };
  const none = { claims: [], leasedUntil: 0 };
  sendAll();
  expect(asked).toEqual(['w/0.0']);
  answers.shift()?.(some);
  expect(await claims.next()).toBe(some);
  sendAll();
  expect(asked.splice(0)).toEqual(['w/0.0', 'w/1.0', 'w/2.0', 'w/0.1']);
  for (const answer of answers.splice(0)) answer(undefined);
  while (!claims.isEmpty) expect(await claims.next()).toEqual(none);
  expect(claims.requestedTasks).toBe(0);
  sendAll();
  expect(asked.splice(0).toSorted()).toEqual(['w/0.1', 'w/1.0', 'w/2.0']);
  answers.shift()?.(undefined);
  await claims.next();
  sendAll();
  expect(asked, 'not again before the others are answered').toEqual([]);
  for (const answer of answers.splice(0)) answer(none);
  while (!claims.isEmpty) await claims.next();
  sendAll();
  expect(asked, 'the one that failed once more').toHaveLength(1);
});

it.each([
  [6, 6, 6],
  [100, 100, 34],
  [500, 500, 64],
])('a worker claims its share of %i tasks at a time: of %i wanted %i', (mostInAll, wanted, share) => {
  const asked: number[] = [];
  const begins: number[] = [];
  const claims = new ClaimsInFlight('w', mostInAll, (claim) => {
    asked.push(claim.max);
    begins.push(claim.begins);
    return new Promise(() => {});
  });
  claims.send(wanted, 5);
  expect(asked).toEqual([share]);
  expect(begins).toEqual([5]);
  expect(claims.requestedTasks).toBe(share);
});
