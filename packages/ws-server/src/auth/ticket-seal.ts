import { createCipheriv, createDecipheriv, createHash, hkdfSync } from 'node:crypto';

const TAG_BYTES = 16;
/** Each key seals one text, so a nonce is never reused with a key. */
const NONCE = Buffer.alloc(12);

/** Storage id of a ticket: reveals nothing of it. */
export function ticketId(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

/** Encrypts a text with the ticket: the storage never holds the credential behind it. */
export function seal(secret: string, text: string): string {
  const cipher = createCipheriv('aes-256-gcm', keyOf(secret), NONCE);
  const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]);
  return sealed.toString('base64');
}

/** @throws {Error} when the text was sealed with another secret. */
export function unseal(secret: string, sealed: string): string {
  const bytes = Buffer.from(sealed, 'base64');
  const decipher = createDecipheriv('aes-256-gcm', keyOf(secret), NONCE, { authTagLength: TAG_BYTES });
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
  return decipher.update(bytes.subarray(0, -TAG_BYTES), undefined, 'utf8') + decipher.final('utf8');
}

function keyOf(secret: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, '', 'agent-orchestrator ticket', 32));
}
