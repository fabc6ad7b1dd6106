/** Numbers as Grafana writes them by unit, and the colours of its thresholds and series. */
import type { Threshold } from './dashboard-file.ts';

const COLOURS: Readonly<Record<string, string>> = {
  green: '#3f9b46',
  orange: '#d9730d',
  red: '#d2334a',
  blue: '#3274d9',
};
export const SERIES_COLOURS = [
  '#56a64b', '#f2cc0c', '#3274d9', '#ff780a', '#e02f44', '#8f3bb8', '#37872d', '#b877d9', '#5794f2', '#c4162a',
] as const; // prettier-ignore

/** Three digits that count, without zeros at the end. */
const short = (value: number): string => {
  const magnitude = Math.abs(value);
  const digits = magnitude >= 100 ? 0 : magnitude >= 10 ? 1 : 2;
  return String(Number(value.toFixed(digits)));
};

const scaled = (value: number, factor: number, units: readonly string[]): string => {
  let index = 0;
  let rest = value;
  while (Math.abs(rest) >= factor && index < units.length - 1) {
    rest /= factor;
    index += 1;
  }
  return `${short(rest)}${units[index] ?? ''}`;
};

/** @param unit Grafana's id of it */
export function format(value: number, unit = 'short'): string {
  switch (unit) {
    case 'percent':
      return `${short(value)}%`;
    case 'bytes':
      return scaled(value, 1024, [' B', ' KiB', ' MiB', ' GiB', ' TiB']);
    case 's':
      if (value === 0) return '0 s';
      if (Math.abs(value) < 0.001) return `${short(value * 1e6)} µs`;
      return Math.abs(value) < 1 ? `${short(value * 1000)} ms` : `${short(value)} s`;
    case 'short':
      return scaled(value, 1000, ['', ' K', ' Mil', ' Bil']);
    default:
      throw new Error(`the unit ${unit} is not known here: add it to picture/values.ts`);
  }
}

/** One of Grafana's colours by its name. */
export const namedColour = (name: string): string => COLOURS[name] ?? '#3274d9';

/** The colour of the last step that the value reaches. */
export const thresholdColour = (value: number, steps: readonly Threshold[] = []): string => {
  const step = steps.findLast(({ value: from }) => from === null || value >= from);
  return namedColour(step?.color ?? 'blue');
};
