export { ManualClock, settled } from './manual-clock.js';
export { LATER, type Reply, ScriptedService } from './scripted-service.js';
export { type TestOptions, TestOrchestrator } from './test-orchestrator.js';
