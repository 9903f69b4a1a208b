import { expect, it } from 'vitest';
import { BoundedLabel } from '../src/metrics/bounded-label.js';

it('a label has a limited number of values, which stay what they are', () => {
  const label = new BoundedLabel(3);
  const values = ['a', 'b', 'x'.repeat(65), 'c', 'd', 'a', 'd', 'c'];
  expect(values.map((value) => label.of(value))).toEqual([
    'a',
    'b',
    'other',
    'c',
    'other',
    'a',
    'other',
    'c',
  ]);
});
