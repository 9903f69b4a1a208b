import { hash } from 'node:crypto';

/** What tells a text from others: 128 bits of its SHA-256, as 22 characters. */
export function fingerprintOf(text: string): string {
  return hash('sha256', text, 'base64url').slice(0, 22);
}
