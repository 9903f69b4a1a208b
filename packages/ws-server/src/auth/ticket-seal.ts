import { createCipheriv, createDecipheriv, createHash, hkdfSync } from 'node:crypto';

const TAG_BYTES = 16;
/** Each key seals one text, so the same nonce is never used twice with one key. */
const NONCE = Buffer.alloc(12);

/** What the storage knows a ticket by: nothing of the ticket can be told from it. */
export function ticketId(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

/** A text that only the ticket opens: the storage never has the credential that a ticket stands for. */
export function seal(secret: string, text: string): string {
  const cipher = createCipheriv('aes-256-gcm', keyOf(secret), NONCE);
  const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]);
  return sealed.toString('base64');
}

/** @throws {Error} when the text was not sealed with this secret. */
export function unseal(secret: string, sealed: string): string {
  const bytes = Buffer.from(sealed, 'base64');
  const decipher = createDecipheriv('aes-256-gcm', keyOf(secret), NONCE, { authTagLength: TAG_BYTES });
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
  return decipher.update(bytes.subarray(0, -TAG_BYTES), undefined, 'utf8') + decipher.final('utf8');
}

function keyOf(secret: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, '', 'agent-orchestrator ticket', 32));
}
