/** An option that nobody reads is a setting that silently does nothing: stages and sinks refuse it, in plain JavaScript too. */

/**
 * @param known every option of the stage or sink; the compiler holds it to the type
 * @throws TypeError naming the stage or sink and the option
 */
export function checkOptions<Options extends object>(
  stage: string,
  options: Options,
  known: Readonly<Record<keyof Required<Options>, true>>,
): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new TypeError(`${stage}(): expected an object of options`);
  }
  const unknown = Object.keys(options).find((name) => !Object.hasOwn(known, name));
  if (unknown === undefined) return;
  throw new TypeError(
    `${stage}(): unknown option ${JSON.stringify(unknown)}; the options are ${Object.keys(known).join(', ')}`,
  );
}

/** @throws RangeError naming the stage or sink, the option, its value and what was expected */
export function checkPositive(stage: string, options: Readonly<Record<string, number | undefined>>): void {
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || (Number.isFinite(value) && value > 0)) continue;
    throw new RangeError(`${stage}: ${name} must be a number above 0; got ${value}`);
  }
}
