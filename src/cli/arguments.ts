/** Readers of options' values: what does not fit ends the command with what was expected. */
import { InvalidArgumentError } from 'commander';

export const wholeNumber =
  (least: number, most: number, unit: string) =>
  (given: string): number => {
    const number = Number(given);
    if (/^\d+$/.test(given) && number >= least && number <= most) return number;
    throw new InvalidArgumentError(`Expected ${unit}, a whole number from ${least} to ${most}.`);
  };

/** `default` takes a limit of its own away. Stays a word here: commander takes null for no value at all. */
export const perMinute = (given: string): number | 'default' =>
  given === 'default' ? given : wholeNumber(1, 1_000_000, 'requests a minute or "default"')(given);

const MS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `90d`, `12h`, `30m`, a date, or `never`. @returns ISO 8601, or `never` */
export function expiry(given: string): string {
  if (given === 'never') return given;
  const [, count, unit] = /^(\d{1,6})([mhd])$/.exec(given) ?? [];
  const at =
    unit === undefined
      ? /^\d{4}-\d{2}-\d{2}/.test(given)
        ? Date.parse(given)
        : Number.NaN
      : Date.now() + Number(count) * MS[unit]!;
  const date = new Date(at);
  // Date.parse takes the 31st of a short month for the first of the next one.
  if (Number.isNaN(at) || (unit === undefined && given.length === 10 && date.toISOString().slice(0, 10) !== given)) {
    throw new InvalidArgumentError('Expected a time from now (90d, 12h, 30m), a date such as 2027-01-31, or "never".');
  }
  return date.toISOString();
}
