const MAX_LABEL = 64;

/** Values of a label, the first `max` of them: a time series is kept for each, and types and codes may come from outside. */
export class BoundedLabel {
  readonly #known = new Set<string>();

  constructor(private readonly max: number) {}

  /** The value itself, or `other`. */
  of(value: string): string {
    if (this.#known.has(value)) return value;
    if (this.#known.size >= this.max || value.length > MAX_LABEL) return 'other';
    this.#known.add(value);
    return value;
  }
}
