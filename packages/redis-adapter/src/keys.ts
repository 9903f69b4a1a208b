/**
 * Where everything is. The braces are literal: they are Redis Cluster's hash tag, so all keys of a tenant share a slot.
 * Ids have no colon, at sign or brace in them, so no key can be taken for another.
 */
export class Keys {
  /** What the rotation and the index of due times begin with: they share a slot of their own. */
  readonly system: string;
  readonly notifications: string;
  /** Channels of bells: this one, and one for each worker behind a colon. */
  readonly bells: string;

  /** @param prefix what every key begins with, see `RedisStorageOptions.prefix`. */
  constructor(private readonly prefix: string) {
    this.system = `${prefix}:system:{queue}:`;
    this.notifications = `${prefix}:system:notifications`;
    this.bells = `${prefix}:bells`;
  }

  meta(tenantId: string): string {
    return `${this.prefix}:tasks:{${tenantId}}:@meta`;
  }

  task(tenantId: string, taskId: string): string {
    return `${this.prefix}:tasks:{${tenantId}}:${taskId}`;
  }

  /** The log, and the channel that its events are rung on. */
  events(tenantId: string): string {
    return `${this.prefix}:events:{${tenantId}}`;
  }

  session(tenantId: string, sessionId: string): string {
    return `${this.prefix}:session:{${tenantId}}:${sessionId}`;
  }

  /** The tickets that are open, by when they expire; more keys begin with this one. */
  tickets(tenantId: string): string {
    return `${this.prefix}:tasks:{${tenantId}}:@tickets`;
  }

  usage(tenantId: string): string {
    return `${this.prefix}:usage:{${tenantId}}`;
  }
}
