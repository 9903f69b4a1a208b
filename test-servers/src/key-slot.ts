const SLOTS = 16_384;

/** The slot of a key in a Cluster: CRC16 (XMODEM) of the text in its first braces, else of the whole key. */
export function slotOf(key: string): number {
  const open = key.indexOf('{');
  const close = open < 0 ? -1 : key.indexOf('}', open + 1);
  const hashed = close > open + 1 ? key.slice(open + 1, close) : key;
  let crc = 0;
  for (const byte of Buffer.from(hashed)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit += 1) {
      crc = (crc & 0x8000) === 0 ? (crc << 1) & 0xffff : ((crc << 1) ^ 0x1021) & 0xffff;
    }
  }
  return crc % SLOTS;
}

/** The slots of each of `count` masters, evenly, without a gap. */
export function slotRanges(count: number): { readonly first: number; readonly last: number }[] {
  const start = (index: number) => Math.round((index * SLOTS) / count);
  return Array.from({ length: count }, (_, index) => ({ first: start(index), last: start(index + 1) - 1 }));
}
