/** Remote addresses as limits and labels see them: IPv4 whole, IPv6 by its /64, since one host may use all of that. */
import { isIP } from 'node:net';

const MAPPED_IPV4 = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;

/** The block that shares one limit. Text that is no address stands for itself. */
export function addressBlock(address: string): string {
  const zone = address.indexOf('%');
  const bare = zone < 0 ? address : address.slice(0, zone);
  const mapped = MAPPED_IPV4.exec(bare);
  if (mapped?.[1] !== undefined) return mapped[1];
  if (isIP(bare) !== 6) return bare;
  const [head = '', tail] = bare.toLowerCase().split('::');
  const leading = head === '' ? [] : head.split(':');
  const trailing = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : 8 - leading.length - trailing.length;
  const groups = [...leading, ...Array<string>(Math.max(0, zeros)).fill('0'), ...trailing];
  return `${groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':')}::/64`;
}

export type AddressClass = 'loopback' | 'private' | 'public' | 'unknown';

const PRIVATE_V4 =
  /^(?:10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|169\.254\.|100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.)/;

/** A label of few values instead of the address itself. */
export function addressClass(address: string): AddressClass {
  const block = addressBlock(address);
  if (isIP(block) === 4) return block.startsWith('127.') ? 'loopback' : PRIVATE_V4.test(block) ? 'private' : 'public';
  if (!block.endsWith('::/64')) return 'unknown';
  if (/^(?:::1|0+(?::0+){6}:0*1)$/.test(address)) return 'loopback';
  return /^f[cd]|^fe[89ab]/.test(block) ? 'private' : 'public';
}
