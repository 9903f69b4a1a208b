import type { Authenticator, CheckIds } from './authenticator.js';
import type { Identity } from './identities.js';
import { CLOSE } from '../sockets/close-codes.js';

export interface CredentialCheckParts {
  readonly authenticator: Authenticator;
  readonly token: string;
  readonly ids: CheckIds;
  /** Takes over what the credential may do now; `false` when it is no longer that of whoever was let in. */
  readonly accept: (identity: Identity) => boolean;
  readonly close: (code: number, reason: string) => void;
}

/** Heartbeats in a row at which a credential that cannot be checked still counts as good. */
const TOLERATED = 3;

/**
 * The credential of an open socket or stream, checked again at each heartbeat: what it may do is taken over, and one that
 * is refused closes it. While the back end of the host's identities is away it stays open, for three heartbeats in a row.
 */
export class CredentialCheck {
  readonly #parts: CredentialCheckParts;
  #unchecked = 0;
  #isAsking = false;

  constructor(parts: CredentialCheckParts) {
    this.#parts = parts;
  }

  /** Begins a check, unless the last one has no answer yet: then that heartbeat counts as one without an answer. */
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
