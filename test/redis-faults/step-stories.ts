import { OTHERS, SUBMISSIONS, TASKS } from './caller-stories.js';
import type { StepStory } from './step-story.js';
import { JOURNAL, QUEUE, WORKERS } from './worker-stories.js';

export type { StepStory } from './step-story.js';

export const STEP_STORIES: readonly StepStory[] = [
  ...SUBMISSIONS,
  ...TASKS,
  ...QUEUE,
  ...JOURNAL,
  ...OTHERS,
  ...WORKERS,
];
