import { describe, expect, it } from 'vitest';
import type { TaskEvent } from '../../src/index.js';
import { judge } from './history.js';

const event = (task_id: string, rev: number, name: TaskEvent['event']): TaskEvent =>
  ({
    event: name,
    service: 'orchestrator',
    task_id,
    tenant_id: 'acme',
    timestamp: '2026-01-31T10:00:00.000Z',
    data: null,
    metadata: {},
    rev,
    cursor: `x:${rev}`,
  }) as TaskEvent;
const created = (id: string) => event(id, 1, 'task_created');

describe('the judge of histories', () => {
  it('accepts a valid history', () => {
    const good = [created('a'), created('b'), event('b', 2, 'task_failed'), event('a', 2, 'task_completed')];
    expect(judge(good, ['a', 'b'])).toEqual({ gaps: [], notFinalOnce: [] });
  });

  it.each<[string, readonly TaskEvent[], 'gaps' | 'notFinalOnce']>([
    ['a task that was acknowledged and is not there', [], 'gaps'],
    ['a missing event', [created('a'), event('a', 3, 'task_completed')], 'gaps'],
    ['an event twice', [created('a'), created('a'), event('a', 2, 'task_completed')], 'gaps'],
    ['events out of order', [event('a', 2, 'task_completed'), created('a')], 'gaps'],
    ['a task that does not end', [created('a')], 'notFinalOnce'],
    [
      'a task that ends twice',
      [created('a'), event('a', 2, 'task_failed'), event('a', 3, 'task_completed')],
      'notFinalOnce',
    ],
    [
      'a task that goes on after its end',
      [created('a'), event('a', 2, 'task_completed'), event('a', 3, 'task_status_update')],
      'notFinalOnce',
    ],
  ])('finds %s', (_, bad, where) => {
    expect(judge(bad, ['a'])[where]).toEqual(['a']);
  });

  it('also judges tasks without an acknowledged submission', () => {
    expect(judge([created('c')], []).notFinalOnce).toEqual(['c']);
  });
});
