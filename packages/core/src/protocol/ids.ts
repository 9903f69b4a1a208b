import { randomBytes } from 'node:crypto';
import { z } from 'zod';

const ID = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;
const NAME = /^[a-z][a-z0-9_]{0,63}$/;
const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** Ids of tenants, sessions, services and agents: 1 to 64 of letters, digits, `_`, `.`, `-`, beginning with a letter or digit. */
export const idSchema = z
  .string()
  .regex(ID, 'expected 1 to 64 letters, digits, "_", "." or "-", beginning with a letter or digit');
/** Names of operations, steps and signals: 1 to 64 of lower-case letters, digits, `_`, beginning with a letter. */
export const nameSchema = z
  .string()
  .regex(NAME, 'expected 1 to 64 lower-case letters, digits or "_", beginning with a letter');
/** Types of tasks: a name or an id, so that a workflow may be called `support-v2`. */
export const taskTypeSchema = idSchema;
/** Schema of a UUID v4; the output is in lower case. */
export const uuidSchema = z.string().toLowerCase().regex(UUID_V4, 'expected a UUID v4');
/** Text of `min` to `max` UTF-16 units, as well-formed Unicode: a lone surrogate becomes U+FFFD. */
export function textSchema(max: number, min = 1) {
  return z
    .string()
    .min(min)
    .max(max)
    .transform((text) => text.toWellFormed());
}
/** Like `textSchema`, without control characters: storages use them as separators in composed keys. */
export function labelSchema(max: number) {
  return z
    .string()
    .min(1)
    .max(max)
    .regex(/^\P{Cc}*$/u, 'expected no control characters')
    .transform((text) => text.toWellFormed());
}
/** Ids chosen by services, of jobs and messages: 1 to 200 characters, no control characters. */
export const foreignIdSchema = labelSchema(200);
/** A service's id of a job. */
export const jobIdSchema = foreignIdSchema;
/** Ids of users, as the host names them: 1 to 200 characters, no control characters. */
export const userIdSchema = foreignIdSchema;

const HEX = Buffer.from('0123456789abcdef');
/** Offset of each byte's digits in a UUID. */
const DIGIT_OFFSETS = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34] as const;
const UUID = Buffer.from('00000000-0000-0000-0000-000000000000');

/**
 * Sixteen bytes as a UUID v4. Written to a buffer instead of concatenated: V8 keeps all parts of a concatenated string alive,
 * which makes an id of 36 characters occupy 500 bytes.
 */
export function uuidFromBytes(bytes: Uint8Array): string {
  for (let i = 0; i < 16; i += 1) {
    let byte = bytes[i] as number;
    if (i === 6) byte = (byte & 0x0f) | 0x40;
    if (i === 8) byte = (byte & 0x3f) | 0x80;
    const offset = DIGIT_OFFSETS[i] as number;
    UUID[offset] = HEX[byte >> 4] as number;
    UUID[offset + 1] = HEX[byte & 0x0f] as number;
  }
  return UUID.toString('latin1');
}

/** An unguessable token of 128 bits, as 22 characters. */
export function newToken(): string {
  return randomBytes(16).toString('base64url');
}
