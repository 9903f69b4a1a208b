import { hash } from 'node:crypto';

/** Fingerprint of a text: the first 128 bits of its SHA-256, as 22 base64url characters. */
export function fingerprintOf(text: string): string {
  return hash('sha256', text, 'base64url').slice(0, 22);
}

/** SHA-256 of a text, as base64url. */
export function digestOf(text: string): string {
  return hash('sha256', text, 'base64url');
}
