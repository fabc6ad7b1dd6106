/** A process of its own that locks the directory given, says so, and waits to be ended. */
import { lockDirectory } from '../../../src/sinks/sqlite/directory-lock.ts';

try {
  await lockDirectory(process.argv[2]!, { waitMs: Number(process.argv[3] ?? 0) });
  console.log('locked');
  setInterval(() => {}, 1e6);
} catch (error) {
  console.log((error as Error).message);
}
