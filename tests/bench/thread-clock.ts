/** CPU time of this thread so far, milliseconds, to the microsecond. */
export function threadCpuMs(): number {
  // Linux tells of a thread what it knew at its last tick, up to 4 ms ago; asking for the whole process makes it look.
  process.cpuUsage();
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}
