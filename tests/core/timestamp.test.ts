import t from 'tap';
import fc from 'fast-check';
import { parseTimestamp } from '../../src/core/timestamp.ts';

t.test('the first timestamp that a process reads is no day that there is not', (t) => {
  t.ok(Number.isNaN(parseTimestamp('0000-00-00T00:00:00Z')));
  t.end();
});

t.test('a timestamp without an offset means UTC', (t) => {
  t.equal(parseTimestamp('2026-11-22T08:17:09.588991'), Date.UTC(2026, 10, 22, 8, 17, 9, 588));
  t.equal(parseTimestamp('2026-01-01T12:00:00'), Date.UTC(2026, 0, 1, 12));
  t.end();
});

t.test('offsets are taken off', (t) => {
  const noon = Date.UTC(2026, 0, 1, 12);
  for (const text of [
    '2026-01-01T12:00:00Z',
    '2026-01-01t14:30:00+02:30',
    '2026-01-01 07:00:00-0500',
    '2026-01-01T13:00:00+01',
  ]) {
    t.equal(parseTimestamp(text), noon, text);
  }
  t.end();
});

t.test('what is no date is NaN', (t) => {
  for (const text of [
    '',
    'now',
    '2026-02-29T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-01-01T24:00:00Z',
    '2026-01-01T00:60:00Z',
    '2026-01-01',
    '2026-01-01T00:00:00.Z',
    '2026-01-01T00:00:00+1',
    '2026-01-01T00:00:00+24:00',
    '2026-01-01T00:00:00ZZ',
    '2026-01-01T00:00:00 Z',
    '0000-01-01T00:00:00Z',
    'x'.repeat(70),
  ]) {
    t.ok(Number.isNaN(parseTimestamp(text)), JSON.stringify(text));
  }
  t.end();
});

t.test('one date says nothing about the next', (t) => {
  const day = Date.UTC(2024, 1, 29);
  t.equal(parseTimestamp('2024-02-29T00:00:00Z'), day);
  t.ok(Number.isNaN(parseTimestamp('2023-02-29T00:00:00Z')));
  t.equal(parseTimestamp('2024-02-29T00:00:01Z'), day + 1000);
  t.equal(parseTimestamp('2024-03-01T00:00:00Z'), day + 86_400_000);
  t.ok(Number.isNaN(parseTimestamp('2024-02-30T00:00:00Z')));
  t.end();
});

t.test('anything but a digit where a digit belongs is NaN', (t) => {
  const text = '2026-11-22T08:17:09.588+01:30';
  for (const { index: at } of text.matchAll(/[0-9]/g)) {
    for (const other of ['/', ':', ' ', '-', 'a', '\u{1d7d8}', '\u0660']) {
      const broken = text.slice(0, at) + other + text.slice(at + 1);
      t.ok(Number.isNaN(parseTimestamp(broken)), broken);
    }
  }
  t.end();
});

t.test('every date that the platform prints reads back as itself', (t) => {
  fc.assert(
    fc.property(
      fc.date({
        min: new Date('0001-01-01T00:00:00Z'),
        max: new Date('9999-12-31T23:59:59.999Z'),
        noInvalidDate: true,
      }),
      (date) => {
        return parseTimestamp(date.toISOString()) === date.getTime();
      },
    ),
  );
  t.end();
});

t.test('a fraction of any length is cut to milliseconds', (t) => {
  fc.assert(
    fc.property(fc.stringMatching(/^[0-9]{1,40}$/), (digits) => {
      const expected = Number(digits.padEnd(3, '0').slice(0, 3));
      return parseTimestamp(`1970-01-01T00:00:00.${digits}Z`) === expected;
    }),
  );
  t.end();
});
