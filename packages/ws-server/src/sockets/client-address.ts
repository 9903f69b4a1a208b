import type { IncomingMessage } from 'node:http';
import { isIPv4, isIPv6 } from 'node:net';

/**
 * Address that a connection is counted for: its peer, or, behind trusted proxies, the entry that the outermost of them added
 * to `X-Forwarded-For`. An IPv6 customer has a whole /64, so that counts as one.
 */
export function clientAddress({ socket, headers }: IncomingMessage, trustedProxies: number): string {
  const forwardedFor = [headers['x-forwarded-for'] ?? []].flat().join(',');
  return addressOf({ remote: socket.remoteAddress ?? '', forwardedFor }, trustedProxies);
}

/** The same of a request whose peer and `X-Forwarded-For` are known. */
export function addressOf(
  { remote, forwardedFor }: { readonly remote: string; readonly forwardedFor: string },
  trustedProxies: number,
): string {
  const entry = trustedProxies > 0 ? forwardedFor.split(',').at(-trustedProxies)?.trim() : undefined;
  return networkOf(entry !== undefined && (isIPv4(entry) || isIPv6(entry)) ? entry : remote);
}

/** The IPv4 address, or the /64 of an IPv6 address. */
export function networkOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  if (!isIPv6(address)) return address;
  const [head = '', tail] = (address.split('%', 1)[0] ?? '').split('::');
  const groups = head === '' ? [] : head.split(':');
  const missing = tail === undefined ? 0 : 8 - groups.length - (tail === '' ? 0 : tail.split(':').length);
  const all = [...groups, ...Array<string>(Math.max(0, missing)).fill('0'), ...(tail ? tail.split(':') : [])];
  return `${all
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`;
}
