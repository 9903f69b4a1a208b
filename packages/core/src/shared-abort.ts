import { setMaxListeners } from 'node:events';

/** An `AbortController` whose signal many wait on at once; Node's warning about listeners would be a false alarm. */
export function sharedAbort(): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return controller;
}
