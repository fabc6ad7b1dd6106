/** User identifiers as pseudonyms: SHA-256 (FIPS 180-4), computed at once since Web Crypto only answers later. */

/** Round constants, then the initial state: leading fraction bits of the primes' cube and square roots (section 4.2.2). */
let constants: readonly [Int32Array, Int32Array] | undefined;

function makeConstants(): readonly [Int32Array, Int32Array] {
  const fraction = (root: number): number => (root % 1) * 2 ** 32;
  const primes: number[] = [];
  for (let n = 2; primes.length < 64; n += 1) if (primes.every((prime) => n % prime > 0)) primes.push(n);
  // `|0` is for values beyond 2^31, which a typed array would wrap in the same way.
  const words = (roots: readonly number[]): Int32Array => Int32Array.from(roots, (root) => fraction(root) | 0);
  return [words(primes.map(Math.cbrt)), words(primes.slice(0, 8).map(Math.sqrt))];
}

const rotate = (word: number, by: number): number => (word >>> by) | (word << (32 - by));

/** SHA-256 of the text's UTF-8 bytes, in lower-case hexadecimal. */
export function sha256(text: string): string {
  const [k, initial] = (constants ??= makeConstants());
  const bytes = new TextEncoder().encode(text);
  const padded = new Uint8Array(((bytes.length + 72) >> 6) * 64);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  const view = new DataView(padded.buffer);
  // The length in bits; 2^29 bytes and more do not occur.
  view.setUint32(padded.length - 4, bytes.length << 3);

  const state = initial.slice();
  const w = new Int32Array(64);
  for (let block = 0; block < padded.length; block += 64) {
    // a … h of the standard are s[0] … s[7].
    const s = state.slice();
    for (let t = 0; t < 64; t += 1) {
      const w15 = w[t - 15]!;
      const w2 = w[t - 2]!;
      w[t] =
        t < 16
          ? view.getUint32(block + t * 4)
          : w[t - 16]! +
            w[t - 7]! +
            (rotate(w15, 7) ^ rotate(w15, 18) ^ (w15 >>> 3)) +
            (rotate(w2, 17) ^ rotate(w2, 19) ^ (w2 >>> 10));
      const a = s[0]!;
      const e = s[4]!;
      const t1 = s[7]! + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & s[5]!) ^ (~e & s[6]!)) + k[t]! + w[t]!;
      const t2 = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & s[1]!) ^ (a & s[2]!) ^ (s[1]! & s[2]!));
      s.copyWithin(1, 0);
      s[4] = s[4]! + t1;
      s[0] = t1 + t2;
    }
    for (let i = 0; i < 8; i += 1) state[i] = state[i]! + s[i]!;
  }
  let digest = '';
  for (const word of state) digest += (word >>> 0).toString(16).padStart(8, '0');
  return digest;
}

/**
 * A pseudonym of 12 hexadecimal digits: the same for the same user and salt, and not to be turned back by trying out
 * names without the salt. With an empty salt it is what deployed Python emitters send (`sha256(name)[:12]`).
 * @returns the empty text for an empty or missing id, as deployed emitters do, and for one that cannot be made text
 */
export function hashUser(id: string | null | undefined, salt: string): string {
  if (id === undefined || id === null || id === '') return '';
  try {
    return sha256(salt === '' ? id : `${salt}:${id}`).slice(0, 12);
  } catch {
    return '';
  }
}
