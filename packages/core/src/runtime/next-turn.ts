/** Coalesces calls: runs `act` once in the next turn of the event loop. */
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
