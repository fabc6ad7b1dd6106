/** After a failed write: says what is wrong, and tries the disk again until it takes a small file. */
import { join } from 'node:path';
import type { Clock, Log, Timer } from '../core/ports.ts';
import type { FileOperations } from './file-operations.ts';

export interface DiskProbeOptions {
  readonly directory: string;
  readonly files: FileOperations;
  readonly clock: Clock;
  readonly log: Log;
  readonly intervalMs: number;
}

export interface DiskProbe {
  /** What is wrong, for clients, health and refusals; undefined while all is well. */
  readonly trouble: () => string | undefined;
  /** A write failed. Healing begins now: no request is needed for it. @returns the trouble */
  readonly failed: (error: NodeJS.ErrnoException) => string;
  readonly stop: () => Promise<void>;
}

/** As much as a usual group of records: a disk that takes less would fail the next one. */
const PROBE = Buffer.alloc(256 * 1024);

export function diskProbe({ directory, files, clock, log, intervalMs }: DiskProbeOptions): DiskProbe {
  const path = join(directory, 'probe.tmp');
  let trouble: string | undefined;
  let timer: Timer | undefined;
  let trying: Promise<void> = Promise.resolve();
  let stopped = false;

  function schedule(): void {
    if (stopped) return;
    timer = clock.after(intervalMs, () => {
      trying = tryDisk();
    });
  }

  async function tryDisk(): Promise<void> {
    try {
      await removeOld();
      const file = await files.open(path, 'create');
      try {
        let done = 0;
        while (done < PROBE.length) {
          const written = await file.write([PROBE.subarray(done)], done);
          if (written === 0) throw Object.assign(new Error('the disk takes no more bytes'), { code: 'ENOSPC' });
          done += written;
        }
      } finally {
        await file.close();
        await files.remove(path);
      }
      trouble = undefined;
      log.info({ directory }, 'the journal can be written again');
    } catch (error) {
      trouble = describe(error as NodeJS.ErrnoException);
      schedule();
    }
  }

  async function removeOld(): Promise<void> {
    try {
      await files.remove(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }

  return {
    trouble: () => trouble,
    failed: (error) => {
      const known = trouble !== undefined;
      trouble = describe(error);
      if (!known) {
        log.error({ directory, err: error }, 'the journal cannot be written: new metrics are refused until it can');
        schedule();
      }
      return trouble;
    },
    stop: async () => {
      stopped = true;
      timer?.cancel();
      await trying;
    },
  };
}

const WORDS: Readonly<Record<string, string>> = {
  ENOSPC: 'no space left on its disk',
  EDQUOT: 'its disk quota is used up',
  EFBIG: 'a file size limit is reached',
  EROFS: 'its disk is mounted read-only',
  EACCES: 'permission to write is missing',
  EPERM: 'permission to write is missing',
  EIO: 'its disk reports input/output errors',
  EMFILE: 'too many files are open',
  ENFILE: 'too many files are open',
};

/** Without paths: clients read it. The log has the whole error. */
function describe(error: NodeJS.ErrnoException): string {
  const code = error.code ?? error.name;
  return `${WORDS[code] ?? 'an unexpected error'} (${code})`;
}
