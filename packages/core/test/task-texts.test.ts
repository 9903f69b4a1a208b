import { TASK_TEXTS, taskText } from '@agent-orchestrator/core/protocol';
import { describe, expect, it } from 'vitest';

describe('a text of a task', () => {
  it('has its values in the order of the sentence', () => {
    expect(taskText('serviceSilent', { silenceMs: 5, job: 'j', service: 'llm' })).toBe(
      'llm has not reported on job j for 5 ms',
    );
  });

  it('takes a value as it is, also with braces and dollars', () => {
    expect(taskText('stepTimedOut', { step: '{step} $& $1' })).toBe('no {step} $& $1 in time');
  });

  it.each(Object.entries(TASK_TEXTS))('%s has no brace besides its values', (_, text) => {
    expect(text.replaceAll(/\{\w+\}/g, '')).not.toMatch(/[{}]/);
  });
});
