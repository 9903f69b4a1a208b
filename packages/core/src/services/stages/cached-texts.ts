import { createHash } from 'node:crypto';
import { ComputedValue } from '../../cache/cached-value.js';
import type { CacheAnswer, CachedValues } from '../../cache/cached-values.js';
import type { Computed } from '../../cache/computation.js';
import { uuidFromBytes } from '../../protocol/ids.js';
import type { JsonValue } from '../../protocol/json.js';
import type { Usage } from '../../protocol/usage.js';
import type { OutboundCall, SendResult, Sender } from '../call-stage.js';
import { requestOf } from './cache-request.js';

/** More texts than services take: such a call is not looked up by text. */
const MAX_TEXTS = 1_000;

/** What one text is answered with. */
interface Embedded {
  readonly vector: JsonValue;
  readonly model: JsonValue;
  readonly dimensions: JsonValue;
}

/** Of a text: its vector, or what the service has answered instead. */
type TextResult = { readonly embedded: Embedded } | { readonly instead: SendResult };

interface PendingText {
  readonly text: string;
  readonly signal: AbortSignal;
  readonly resolve: (computed: Computed<TextResult>) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * A call with `texts`, each of which has an entry of its own: `{ texts, … }` → `{ vectors, model, dimensions }`. The service is
 * asked for the texts that are not cached, in one call; the vectors keep their order.
 */
export class TextsOfCall {
  readonly #pending: PendingText[] = [];
  #unclaimed = 0;
  /** The answer of the service to the call as it is. */
  #whole: SendResult | undefined;
  /** What calls of the service have cost. */
  #usage: Usage | undefined;

  private constructor(
    private readonly outbound: OutboundCall,
    private readonly input: Readonly<Record<string, unknown>>,
    private readonly texts: readonly string[],
  ) {}

  /** Nothing for an input without such texts. */
  static of(outbound: OutboundCall): TextsOfCall | undefined {
    const { input } = outbound.call;
    if (typeof input !== 'object' || input === null || Array.isArray(input)) return undefined;
    const { texts } = input as { readonly texts?: unknown };
    if (!Array.isArray(texts) || texts.length === 0 || texts.length > MAX_TEXTS) return undefined;
    if (!texts.every((text) => typeof text === 'string')) return undefined;
    return new TextsOfCall(outbound, input as Record<string, unknown>, texts);
  }

  async answer(values: CachedValues, ttlMs: number, next: Sender): Promise<SendResult> {
    const distinct = [...new Set(this.texts)];
    this.#unclaimed = distinct.length;
    const found = await Promise.all(distinct.map((text) => this.#find(values, ttlMs, text, next)));
    const byText = new Map(distinct.map((text, at) => [text, found[at] as CacheAnswer<TextResult>]));
    if (this.#whole) return this.#whole;
    const instead = insteadOf(found);
    if (instead) return isFailure(instead) ? instead : next(this.outbound);
    const embedded = this.texts.map((text) => embeddedOf(byText.get(text) as CacheAnswer<TextResult>));
    if (areAlike(embedded)) return this.#answerOf(embedded, found);
    // The service has another model now than when some of the vectors were stored.
    await Promise.all(
      found.map(async (answer, at) => {
        if (answer.from !== 'cache') return;
        await values.drop({ ...this.#requestOf(distinct[at] as string), ttlMs }, answer.cached);
      }),
    );
    return withUsage(await next(this.outbound), this.#usage);
  }

  async #find(
    values: CachedValues,
    ttlMs: number,
    text: string,
    next: Sender,
  ): Promise<CacheAnswer<TextResult>> {
    let isClaimed = false;
    const onClaimed = () => {
      if (isClaimed) return;
      isClaimed = true;
      this.#unclaimed -= 1;
      if (this.#unclaimed === 0) void this.#send(next);
    };
    try {
      return await values.get({ ...this.#requestOf(text), ttlMs, onClaimed }, (signal) =>
        this.#compute(text, signal, next),
      );
    } finally {
      onClaimed();
    }
  }

  #requestOf(text: string) {
    const { texts: _, ...others } = this.input;
    return requestOf(this.outbound, { ...others, text });
  }

  /** Waits for the others: the service is called once it is known which texts are missing. */
  #compute(text: string, signal: AbortSignal, next: Sender): Promise<Computed<TextResult>> {
    return new Promise((resolve, reject) => {
      this.#pending.push({ text, signal, resolve, reject });
      // The computation of another caller has failed: those that waited for it are sent together.
      if (this.#unclaimed === 0 && this.#pending.length === 1) setImmediate(() => void this.#send(next));
    });
  }

  async #send(next: Sender): Promise<void> {
    const pending = this.#pending.splice(0);
    if (pending.length === 0) return;
    try {
      const outbound = this.#callFor(pending);
      const result = await next(outbound);
      if (outbound.call === this.outbound.call) this.#whole = result;
      const vectors = vectorsOf(result, pending.length);
      if (!vectors) {
        for (const { resolve } of pending) resolve({ result: { instead: result } });
        return;
      }
      this.#addUsage(vectors.usage);
      const { usage } = vectors;
      pending.forEach(({ resolve }, at) => {
        const embedded = vectors.all[at] as Embedded;
        const tokens = (usage?.tokens ?? 0) / pending.length;
        resolve({ result: { embedded }, shared: ComputedValue.of(embedded, tokens, usage?.model) });
      });
    } catch (error) {
      for (const { reject } of pending) reject(error);
    }
  }

  /** The call itself, if it asks for all texts; else one with an id of its own, since the id stands for the content. */
  #callFor(pending: readonly PendingText[]): OutboundCall {
    const { outbound, input } = this;
    const signal = whenAllFired(pending.map((one) => one.signal));
    const texts = pending.map(({ text }) => text);
    if (texts.length === this.texts.length && texts.every((text, at) => text === this.texts[at]))
      return { ...outbound, signal };
    const content = JSON.stringify([outbound.call.call_id, texts]);
    const callId = uuidFromBytes(createHash('sha256').update(content).digest());
    return {
      ...outbound,
      signal,
      call: { ...outbound.call, call_id: callId, input: { ...input, texts } },
    };
  }

  #addUsage(usage: Usage | undefined): void {
    if (!usage) return;
    this.#usage = { tokens: usage.tokens + (this.#usage?.tokens ?? 0), model: usage.model };
  }

  #answerOf(embedded: readonly Embedded[], found: readonly CacheAnswer<TextResult>[]): SendResult {
    const [first] = embedded as readonly [Embedded];
    const cached = found.flatMap((answer) => (answer.from === 'cache' ? [answer.cached] : []));
    const model = this.#usage?.model ?? cached.find((one) => one.model !== undefined)?.model;
    const saved = cached.reduce((sum, { tokens }) => sum + tokens, 0);
    const usage = model !== undefined && {
      usage: { tokens: this.#usage?.tokens ?? 0, model, ...(cached.length > 0 && { saved_tokens: saved }) },
    };
    const value = {
      vectors: embedded.map(({ vector }) => vector),
      model: first.model,
      dimensions: first.dimensions,
    };
    const outcome = { ok: true, value } as const;
    const answer = { kind: 'outcome', outcome, ...usage } as const;
    if (cached.length < found.length) return { kind: 'answer', answer };
    return { kind: 'answer', answer: { ...answer, cached: true } };
  }
}

function embeddedOf(answer: CacheAnswer<TextResult>): Embedded {
  if (answer.from === 'cache') return answer.cached.value as unknown as Embedded;
  return (answer.result as { readonly embedded: Embedded }).embedded;
}

function insteadOf(found: readonly CacheAnswer<TextResult>[]): SendResult | undefined {
  for (const answer of found)
    if (answer.from === 'computed' && 'instead' in answer.result) return answer.result.instead;
  return undefined;
}

function isFailure(result: SendResult): boolean {
  return result.kind === 'transient' || (result.answer.kind === 'outcome' && !result.answer.outcome.ok);
}

/** A result with what other calls have cost before. */
function withUsage(result: SendResult, before: Usage | undefined): SendResult {
  if (!before || result.kind !== 'answer' || result.answer.kind !== 'outcome') return result;
  const { usage = { ...before, tokens: 0 } } = result.answer;
  const all = { ...usage, tokens: usage.tokens + before.tokens };
  return { ...result, answer: { ...result.answer, usage: all } };
}

function areAlike([first, ...others]: readonly Embedded[]): boolean {
  const of = ({ model, dimensions }: Embedded) => JSON.stringify([model, dimensions]);
  return first === undefined || others.every((other) => of(other) === of(first));
}

/** The vectors of an answer in the form of `embedding.embed`; nothing for any other. */
function vectorsOf(
  result: SendResult,
  count: number,
): { readonly all: readonly Embedded[]; readonly usage: Usage | undefined } | undefined {
  if (result.kind !== 'answer' || result.answer.kind !== 'outcome' || !result.answer.outcome.ok)
    return undefined;
  const { outcome, usage } = result.answer;
  const { value } = outcome;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const { vectors, model = null, dimensions = null } = value as Readonly<Record<string, JsonValue>>;
  if (!Array.isArray(vectors) || vectors.length !== count || !vectors.every(isVector)) return undefined;
  return { all: vectors.map((vector: JsonValue) => ({ vector, model, dimensions })), usage };
}

/** What is no vector is not kept: it would answer the text for a day. */
function isVector(value: JsonValue): boolean {
  return Array.isArray(value) && value.length > 0 && value.every((part) => typeof part === 'number');
}

/** Fires when none of the texts is waited for any more. */
function whenAllFired(signals: readonly AbortSignal[]): AbortSignal {
  const all = new AbortController();
  let left = signals.length;
  const onAbort = ({ target }: { readonly target: EventTarget | null }) => {
    left -= 1;
    if (left === 0) all.abort((target as AbortSignal | null)?.reason);
  };
  for (const signal of signals) {
    if (signal.aborted) onAbort({ target: signal });
    else signal.addEventListener('abort', onAbort, { once: true });
  }
  return all.signal;
}
