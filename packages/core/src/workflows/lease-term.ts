/**
 * How long the storage has granted the lease of a run, by the clock of this process: counted from when the request was sent, so
 * never longer than the storage counts. A freeze of the process outlasts it, a working worker renews it long before.
 */
export class LeaseTerm {
  /** @param endsAt epoch ms. */
  constructor(private endsAt: number) {}

  /** The lease was renewed. */
  extend(endsAt: number): void {
    this.endsAt = endsAt;
  }

  hasEnded(now: number): boolean {
    return now >= this.endsAt;
  }
}
