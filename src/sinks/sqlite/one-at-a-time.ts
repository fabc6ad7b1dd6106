/** Work that must not overlap: each piece waits for the one before it, however that one ends. */
export type OneAtATime = <T>(work: () => Promise<T>) => Promise<T>;

export function oneAtATime(): OneAtATime {
  let running: Promise<unknown> = Promise.resolve();
  return (work) => {
    const run = running.then(work);
    running = run.catch(() => undefined);
    return run;
  };
}
