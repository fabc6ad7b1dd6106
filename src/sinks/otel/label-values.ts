/**
 * The values of one label, bounded: what is too long, or comes when the label already has its number of values, counts
 * as `_other`. A value is given back when the last series that carries it goes.
 */

export const OTHER = '_other';

/** A value as text; empty and structured ones mean that the label is absent (Prometheus takes `""` for absent too). */
export function labelText(raw: unknown): string | undefined {
  switch (typeof raw) {
    case 'string':
      // A lone surrogate cannot be written in UTF-8: two of them would end up as one and the same series.
      return raw === '' ? undefined : raw.toWellFormed();
    case 'boolean':
      return raw ? 'true' : 'false';
    case 'number':
      return String(raw);
    default:
      return undefined;
  }
}

export class LabelValues {
  /** Series per value, in order of the values' arrival. */
  readonly #uses = new Map<string, number>();
  readonly #maxValues: number;
  readonly #maxLength: number;
  /** Events whose value counted as `_other`. */
  overflow = 0;

  constructor(maxValues: number, maxLength: number) {
    this.#maxValues = maxValues;
    this.#maxLength = maxLength;
  }

  /** The text that a series carries for this value: itself or `_other`. Takes no place until `use`. */
  admit(text: string): string {
    if (this.#uses.has(text) || text === OTHER) return text;
    if (text.length <= this.#maxLength && this.#uses.size < this.#maxValues) return text;
    this.overflow += 1;
    return OTHER;
  }

  /** A new series carries this value. */
  use(text: string): void {
    if (text !== OTHER) this.#uses.set(text, (this.#uses.get(text) ?? 0) + 1);
  }

  /** A series that carried this value went. */
  release(text: string): void {
    const uses = this.#uses.get(text);
    if (uses === undefined) return;
    if (uses === 1) this.#uses.delete(text);
    else this.#uses.set(text, uses - 1);
  }
}
