/** User identifiers as pseudonyms: SHA-256 (FIPS 180-4), computed at once since Web Crypto only answers later. */

/** Round constants, then the initial state: leading fraction bits of the primes' cube and square roots (section 4.2.2). */
let constants: readonly [Int32Array, Int32Array] | undefined;

// Kept from hash to hash, since making them costs more than hashing: a block's schedule, room for texts of usual length, the encoder.
const w = new Int32Array(64);
const usual = new Uint8Array(512);
export const utf8 = new TextEncoder();

function makeConstants(): readonly [Int32Array, Int32Array] {
  const primes: number[] = [];
  for (let n = 2; primes.length < 64; n += 1) if (primes.every((prime) => n % prime > 0)) primes.push(n);
  // `|0` is for values beyond 2^31, which a typed array would wrap in the same way.
  const words = (count: number, root: (prime: number) => number): Int32Array =>
    Int32Array.from(primes.slice(0, count), (prime) => ((root(prime) % 1) * 2 ** 32) | 0);
  return [words(64, Math.cbrt), words(8, Math.sqrt)];
}

type EightWords = [number, number, number, number, number, number, number, number];

const rotate = (word: number, by: number): number => (word >>> by) | (word << (32 - by));

/** SHA-256 of the text's UTF-8 bytes, as the standard's eight words. */
export function sha256(text: string): Int32Array {
  const [k, initial] = (constants ??= makeConstants());
  const room = text.length * 3 + 72;
  const bytes = room > usual.length ? new Uint8Array(room) : usual.fill(0);
  const { written } = utf8.encodeInto(text, bytes);
  bytes[written] = 0x80;
  // The last of the whole blocks ends with the length in bits.
  const end = (written + 72) & -64;
  for (let bits = written * 8, at = end - 1; bits > 0; bits >>= 8, at -= 1) bytes[at] = bits;

  const state = initial.slice();
  for (let block = 0; block < end; block += 64) {
    let [a, b, c, d, e, f, g, h] = state as unknown as EightWords;
    for (let t = 0; t < 64; t += 1) {
      const at = block + t * 4;
      const w15 = w[t - 15]!;
      const w2 = w[t - 2]!;
      w[t] =
        t < 16
          ? (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!
          : w[t - 16]! +
            w[t - 7]! +
            (rotate(w15, 7) ^ rotate(w15, 18) ^ (w15 >>> 3)) +
            (rotate(w2, 17) ^ rotate(w2, 19) ^ (w2 >>> 10));
      const t1 = h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & f) ^ (~e & g)) + k[t]! + w[t]!;
      const t2 = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) | (c & (a | b)));
      h = g;
      g = f;
      f = e;
      e = (d + t1) | 0;
      d = c;
      c = b;
      b = a;
      a = (t1 + t2) | 0;
    }
    [a, b, c, d, e, f, g, h].forEach((word, i) => (state[i]! += word));
  }
  return state;
}

/**
 * A pseudonym of 12 hexadecimal digits: the same for the same user and salt, and not to be turned back by trying out
 * names without the salt. With an empty salt it is what deployed Python emitters send (`sha256(name)[:12]`).
 * @returns the empty text for an empty or missing id, as deployed emitters do, and for one that cannot be made text
 */
export function hashUser(id: string | null | undefined, salt: string): string {
  if (!id) return '';
  try {
    const words = sha256((salt && `${salt}:`) + id);
    return ((words[0]! >>> 0) * 2 ** 16 + (words[1]! >>> 16)).toString(16).padStart(12, '0');
  } catch {
    return '';
  }
}
