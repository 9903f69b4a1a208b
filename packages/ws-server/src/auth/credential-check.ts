import type { Authenticator, CheckIds, KnownIdentity } from './authenticator.js';
import { CLOSE } from '../sockets/close-codes.js';

export interface CredentialCheckParts {
  readonly authenticator: Authenticator;
  readonly token: string;
  readonly ids: CheckIds;
  /** Applies the current rights; `false` when the credential now belongs to another identity. */
  readonly accept: (identity: KnownIdentity) => boolean;
  readonly close: (code: number, reason: string) => void;
}

/** Heartbeats in a row without a verdict until the socket is closed. */
const TOLERATED = 3;

/**
 * Rechecks the credential of an open socket or stream at each heartbeat: its rights are updated, and a
 * refused one closes the connection. While the host's identity provider is unavailable the connection stays
 * open, for three heartbeats in a row.
 */
export class CredentialCheck {
  readonly #parts: CredentialCheckParts;
  #unchecked = 0;
  #isAsking = false;

  constructor(parts: CredentialCheckParts) {
    this.#parts = parts;
  }

  /** Starts a check. If the previous one is still pending, this heartbeat counts as one without a verdict. */
  beat(): void {
    if (this.#isAsking) this.#missed();
    else void this.#check();
  }

  async #check(): Promise<void> {
    const { authenticator, token, ids, accept, close } = this.#parts;
    this.#isAsking = true;
    const result = await authenticator.authenticate(token, ids);
    this.#isAsking = false;
    if (result.answer === 'unavailable') this.#missed();
    else if (result.answer === 'identified' && accept(result.identity)) this.#unchecked = 0;
    else close(CLOSE.unauthorized, 'the credential is no longer valid');
  }

  #missed(): void {
    this.#unchecked += 1;
    if (this.#unchecked <= TOLERATED) return;
    this.#parts.close(CLOSE.overloaded, 'the credential could not be checked: come back later');
  }
}
