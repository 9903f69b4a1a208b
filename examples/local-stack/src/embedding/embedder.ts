/** Computes vectors of texts. */
export interface Embedder {
  readonly model: string;
  /** One vector per text, all of the same length. `tokens`: usage. Rejects with an OrchestratorError. */
  embed(
    texts: readonly string[],
    options: { readonly signal: AbortSignal; readonly model?: string | undefined },
  ): Promise<{ vectors: number[][]; tokens: number; model?: string }>;
}
