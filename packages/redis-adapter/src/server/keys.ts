/**
 * Where everything is. The braces are literal: they are Redis Cluster's hash tag, so all keys of a tenant share a slot.
 * Ids have no colon, at sign or brace in them, so no key can be taken for another.
 */
export class Keys {
  /** What the rotation and the index of due times begin with: they share a slot of their own. */
  readonly system: string;
  readonly notifications: string;

  /**
   * @param prefix what every key begins with, see `RedisStorageOptions.prefix`.
   * @param database its number: pub/sub knows no databases, so channels carry it.
   */
  constructor(
    private readonly prefix: string,
    private readonly database: number,
  ) {
    this.system = `${prefix}:system:{queue}:`;
    this.notifications = `${prefix}:system:notifications`;
  }

  /** A channel of wakeups: that of everybody, or of one process, worker or purpose. */
  wakeups(of?: string): string {
    return `${this.prefix}:wakeups${of === undefined ? '' : `:${of}`}@${this.database}`;
  }

  /** What the events of a tenant's log are published on. */
  eventsChannel(tenantId: string): string {
    return `${this.events(tenantId)}@${this.database}`;
  }

  meta(tenantId: string): string {
    return `${this.prefix}:tasks:{${tenantId}}:@meta`;
  }

  task(tenantId: string, taskId: string): string {
    return `${this.prefix}:tasks:{${tenantId}}:${taskId}`;
  }

  /** The log. */
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

  /** What was consumed on one day, counted from 1970-01-01. */
  usage(tenantId: string, day: number): string {
    return `${this.prefix}:usage:{${tenantId}}:${day}`;
  }
}
