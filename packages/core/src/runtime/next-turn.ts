/** Calls `act` once in the next turn of the event loop, however often it is asked to until then. */
export function nextTurn(act: () => void): () => void {
  let planned = false;
  return () => {
    if (planned) return;
    planned = true;
    setImmediate(() => {
      planned = false;
      act();
    });
  };
}
