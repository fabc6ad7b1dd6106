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

t.test('beyond a million characters text counts one byte each, which base64 and ASCII are', async (t) => {
  const image = { type: 'image', data: 'A'.repeat(3_000_000) };
  t.equal(jsonBytes(image), bytes(image));
});

t.test('a value that contains itself ends', async (t) => {
  const circular: Record<string, unknown> = {};
  circular['a'] = circular;
  circular['b'] = [circular, circular];
  t.type(jsonBytes(circular), 'number');
});
