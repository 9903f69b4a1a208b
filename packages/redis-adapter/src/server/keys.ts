/**
 * Names of all keys. The braces are literal: they are Redis Cluster's hash tag, so all keys of a tenant share
 * a slot. Ids contain no colon, at sign or brace, so keys are unambiguous.
 */
export class Keys {
  /** Prefix of the rotation and the index of due times: they share a slot of their own. */
  readonly system: string;
  readonly notifications: string;
  /** Version of the layout of all keys. */
  readonly layout: string;
  /** Token of the process that imports at the moment. */
  readonly importer: string;

  /**
   * @param prefix of every key, see `RedisStorageOptions.prefix`.
   * @param database its number: pub/sub is not separated by database, so channels carry it.
   */
  constructor(
    private readonly prefix: string,
    private readonly database: number,
  ) {
    this.system = `${prefix}:system:{queue}:`;
    this.notifications = `${prefix}:system:notifications`;
    this.layout = `${prefix}:system:layout`;
    this.importer = `${prefix}:system:importer`;
  }

  /** A channel of wakeups: that of all processes, or of one process, worker or purpose. */
  wakeups(of?: string): string {
    return `${this.prefix}:wakeups${of === undefined ? '' : `:${of}`}@${this.database}`;
  }

  /** Channel of a tenant's event log. */
  eventsChannel(tenantId: string): string {
    return `${this.events(tenantId)}@${this.database}`;
  }

  meta(tenantId: string): string {
    return `${this.prefix}:tasks:{${tenantId}}:@meta`;
  }

  task(tenantId: string, taskId: string): string {
    return `${this.prefix}:tasks:{${tenantId}}:${taskId}`;
  }

  /** The event log. */
  events(tenantId: string): string {
    return `${this.prefix}:events:{${tenantId}}`;
  }

  session(tenantId: string, sessionId: string): string {
    return `${this.prefix}:session:{${tenantId}}:${sessionId}`;
  }

  /** Open tickets by expiry; also the prefix of each ticket's key. */
  tickets(tenantId: string): string {
    return `${this.prefix}:tasks:{${tenantId}}:@tickets`;
  }

  /** What is used of an allowance. */
  rate(tenantId: string, name: string): string {
    return `${this.prefix}:tasks:{${tenantId}}:@rate:${name}`;
  }

  /** Prefix of the keys of a tenant's cached values. */
  cache(tenantId: string): string {
    return `${this.prefix}:cache:{${tenantId}}`;
  }

  /** Values of a service, by key. */
  entries(service: string, tenantId: string): string {
    return `${this.prefix}:services:${service}:{${tenantId}}`;
  }

  /** Tenants of which a service may have values. */
  entryTenants(service: string): string {
    return `${this.prefix}:services:${service}:tenants`;
  }

  /** Tenants, and idempotency keys and usage of all tenants, as patterns of `SCAN`. */
  get scans(): { readonly tenants: string; readonly keys: string; readonly usage: string } {
    return {
      tenants: `${this.prefix}:tasks:{*}:@meta`,
      keys: `${this.prefix}:tasks:{*}:@key:*`,
      usage: `${this.prefix}:usage:{*}:*`,
    };
  }

  /** Usage of one day, counted from 1970-01-01. */
  usage(tenantId: string, day: number): string {
    return `${this.prefix}:usage:{${tenantId}}:${day}`;
  }

  usageDetails(tenantId: string, day: number): string {
    return `${this.usage(tenantId, day)}:by`;
  }
}
