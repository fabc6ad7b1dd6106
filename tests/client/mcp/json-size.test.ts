import fc from 'fast-check';
import t from 'tap';
import { jsonBytes } from '../../../src/client/mcp/json-size.ts';

const bytes = (value: unknown): number => Buffer.byteLength(JSON.stringify(value) ?? '');

t.test('a size is that of the JSON text in UTF-8', async () => {
  fc.assert(
    fc.property(fc.anything({ withDate: true, withSparseArray: true, withNullPrototype: true }), (value) => {
      return jsonBytes(value) === bytes(value);
    }),
    { numRuns: 800 },
  );
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => jsonBytes({ [text]: text }) === bytes({ [text]: text })),
    { numRuns: 500 },
  );
});

t.test('control characters, quotes and lone surrogates count as they are escaped', async (t) => {
  for (let code = 0; code < 0x1_00_00; code += 1) {
    const text = String.fromCharCode(code);
    if (jsonBytes(text) !== bytes(text)) t.fail(`character ${code}`);
  }
  t.equal(jsonBytes('😀'), 6);
});

t.test('a long text is counted from wherever its first longer character stands', async (t) => {
  const plain = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)).filter((c) => !/["\\]/.test(c));
  for (const length of [0, 1, 62, 63, 64, 65, 1000]) {
    const start = Array.from({ length }, (_, i) => plain[i % plain.length]).join('');
    for (const end of ['', '"', '\\', '\n', '\u0001', '\u007f', 'ü', '漢', '😀', '\ud800', '\udc00x']) {
      const text = `${start}${end}${start}`;
      t.equal(jsonBytes(text), bytes(text), `${length} characters before and after ${JSON.stringify(end)}`);
    }
  }
});

t.test('what is plain ASCII, base64 above all, is exact at any size', async (t) => {
  const image = { type: 'image', data: 'A'.repeat(3_000_000), mimeType: 'image/png' };
  t.equal(jsonBytes(image), bytes(image));
});

t.test('beyond 262,144 characters a size is an estimate, within 3 % of what text of any kind has', async (t) => {
  const kinds = {
    'English with quotes': 'The "quick" brown fox\n',
    German: 'Grüße aus Köln, schönes Wetter. ',
    Japanese: '漢字とかな',
    emoji: 'a😀b',
    'control characters': '\u0001\u0002x',
    'in step with the blocks': `${'x'.repeat(8192)}${'漢'.repeat(8192)}`,
    'two halves': undefined,
    'short strings': undefined,
  };
  for (const [kind, unit] of Object.entries(kinds)) {
    const text = unit?.repeat(Math.ceil(4_000_000 / unit.length));
    let value: unknown = { content: [{ type: 'text', text }] };
    if (kind === 'two halves') value = ['x'.repeat(2_000_000), '漢字'.repeat(1_000_000)];
    if (kind === 'short strings')
      value = Array.from({ length: 100_000 }, (_, i) => ({ [`ключ${i % 7}`]: 'Straße "7"' }));
    const error = Math.abs(jsonBytes(value) / bytes(value) - 1);
    t.ok(error < 0.03, `${kind}: ${(error * 100).toFixed(2)} %`);
  }
});

t.test('an estimate never leaves what is possible: one to six bytes a character', async () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'binary', minLength: 1 }), { minLength: 1, maxLength: 5 }), (units) => {
      const value = units.map((unit) => unit.repeat(Math.ceil(300_000 / unit.length)));
      const characters = value.reduce((sum, { length }) => sum + length, 0);
      const size = jsonBytes(value);
      return (
        size >= characters && size <= characters * 6 + 4 * value.length && Math.abs(size / bytes(value) - 1) < 0.03
      );
    }),
    { numRuns: 20 },
  );
});

t.test('a value that contains itself ends', async (t) => {
  const circular: Record<string, unknown> = {};
  circular['a'] = circular;
  circular['b'] = [circular, circular];
  t.type(jsonBytes(circular), 'number');
});
