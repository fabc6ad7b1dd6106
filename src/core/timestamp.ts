/** ISO 8601 timestamps as emitters send them (RFC 3339 profile, the offset optional), as milliseconds UTC. */

const DAYS_BEFORE_MONTH = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334] as const;
const DAYS_IN_MONTH = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] as const;
const DAY_MS = 86_400_000;

const isLeapYear = (year: number): boolean => (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;

/** Two decimal digits by their codes; below 0 where they are none. Whole numbers alone: NaN would make it a matter of doubles. */
export function twoDigits(first: number, second: number): number {
  const tens = first - 48;
  const ones = second - 48;
  return (tens | (9 - tens) | ones | (9 - ones)) < 0 ? -1 : tens * 10 + ones;
}

const digitsAt = (text: string, at: number): number => twoDigits(text.charCodeAt(at), text.charCodeAt(at + 1));

/** `Z`, `+hh:mm`, `+hhmm`, `+hh` or nothing (UTC), from `at` to the end; minutes east of UTC, or NaN. */
const offsetMinutes = (text: string, at: number): number => {
  const rest = text.length - at;
  if (rest === 0) return 0;
  const sign = text.charCodeAt(at);
  if (rest === 1 && (sign === 90 || sign === 122)) return 0;
  if (sign !== 43 && sign !== 45) return Number.NaN;
  const colon = text.charCodeAt(at + 3) === 58;
  if (rest !== 3 && rest !== (colon ? 6 : 5)) return Number.NaN;
  const hours = digitsAt(text, at + 1);
  const minutes = rest === 3 ? 0 : digitsAt(text, at + (colon ? 4 : 3));
  if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return Number.NaN;
  return (sign === 45 ? -1 : 1) * (hours * 60 + minutes);
};

/** The day of the last timestamp, as `yyyymmdd`, none at first: most come on the same one. */
let lastDate = -1;
let lastDateMs = 0;

/** @returns midnight of the day, UTC, in milliseconds; NaN where there is no such day */
export function dateMs(year: number, month: number, day: number): number {
  const date = (year * 100 + month) * 100 + day;
  if (date === lastDate) return lastDateMs;
  if (year < 1 || month < 1 || month > 12 || day < 1) return Number.NaN;
  const leap = isLeapYear(year);
  if (day > DAYS_IN_MONTH[month - 1]! + (leap && month === 2 ? 1 : 0)) return Number.NaN;
  const before = year - 1;
  const days =
    before * 365 +
    Math.floor(before / 4) -
    Math.floor(before / 100) +
    Math.floor(before / 400) -
    719_162 +
    DAYS_BEFORE_MONTH[month - 1]! +
    (leap && month > 2 ? 1 : 0) +
    day -
    1;
  lastDate = date;
  lastDateMs = days * DAY_MS;
  return lastDateMs;
}

/**
 * Reads `YYYY-MM-DDThh:mm:ss` with any fraction and an optional offset; without one it means UTC, as Python's
 * `datetime.utcnow().isoformat()` sends it. Fractions finer than a millisecond are cut. Years 0001 to 9999.
 * @returns milliseconds since the Unix epoch, or NaN where the text is no such date
 */
export function parseTimestamp(text: string): number {
  const length = text.length;
  if (length < 19 || length > 64) return Number.NaN;
  const separator = text.charCodeAt(10);
  const century = digitsAt(text, 0);
  const yearOfCentury = digitsAt(text, 2);
  const month = digitsAt(text, 5);
  const day = digitsAt(text, 8);
  const hour = digitsAt(text, 11);
  const minute = digitsAt(text, 14);
  const second = digitsAt(text, 17);
  if (
    (century | yearOfCentury | month | day | hour | minute | second) < 0 ||
    text.charCodeAt(4) !== 45 ||
    text.charCodeAt(7) !== 45 ||
    (separator !== 84 && separator !== 116 && separator !== 32) ||
    text.charCodeAt(13) !== 58 ||
    text.charCodeAt(16) !== 58 ||
    hour > 23 ||
    minute > 59 ||
    second > 60
  ) {
    return Number.NaN;
  }
  let at = 19;
  let millisecond = 0;
  const point = text.charCodeAt(at);
  if (point === 46 || point === 44) {
    let place = 100;
    at += 1;
    const first = at;
    for (; at < length; at += 1) {
      const digit = text.charCodeAt(at) - 48;
      if ((digit | (9 - digit)) < 0) break;
      if (place > 0) {
        millisecond += place * digit;
        place = place === 100 ? 10 : place === 10 ? 1 : 0;
      }
    }
    if (at === first) return Number.NaN;
  }
  const offset = offsetMinutes(text, at);
  // Second 60, a leap second, is the first of the next minute, as POSIX counts.
  return (
    dateMs(century * 100 + yearOfCentury, month, day) +
    ((hour * 60 + minute - offset) * 60 + second) * 1000 +
    millisecond
  );
}
