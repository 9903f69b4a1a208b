export { ManualClock, settled } from './manual-clock.js';
export { LATER, type Reply, ScriptedService } from './scripted-service.js';
export { replayRun, type ReplayRunOptions } from './replay-run.js';
export type { Departure, ReplayReport } from '../workflows/recorded-run.js';
export { readRecording, recordingOf, type RunRecording } from '../workflows/run-recording.js';
export { type TestOptions, TestOrchestrator } from './test-orchestrator.js';
