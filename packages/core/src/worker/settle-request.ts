import type { Claim, Settlement, SettleParams } from '../storage/task-queue.js';

/** Parameters of `settle`. A class, like every holder of short-lived values: see ADR 10. */
export class SettleRequest implements SettleParams {
  readonly tenantId: string;
  readonly taskId: string;
  readonly token: string;

  constructor(
    { task, token }: Claim,
    readonly settlement: Settlement,
  ) {
    this.tenantId = task.tenant_id;
    this.taskId = task.task_id;
    this.token = token;
  }
}
