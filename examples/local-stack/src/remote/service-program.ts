import { fileURLToPath } from 'node:url';

/** The program that runs one service of the stack in a process of its own, see `runServiceProcess`. */
export const SERVICE_PROGRAM = fileURLToPath(new URL('../../bin/service.mjs', import.meta.url));
