/** The one place where a stage's result enters its phase: the brands exist for the compiler alone. */

/** A phase's members without its brand. */
export type Unbranded<Phase> = Omit<Phase, symbol>;

/** Says that a stage did its work. Only built-in stages, and whoever replaces one, call this. */
export const enterPhase = <Phase>(value: Unbranded<Phase>): Phase => value as Phase;
