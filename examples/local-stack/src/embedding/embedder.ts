/** What turns texts into vectors. */
export interface Embedder {
  readonly model: string;
  /** One vector a text, all with as many numbers. `tokens` is what they cost. Rejects with an OrchestratorError. */
  embed(
    texts: readonly string[],
    options: { readonly signal: AbortSignal; readonly model?: string | undefined },
  ): Promise<{ vectors: number[][]; tokens: number; model?: string }>;
}
