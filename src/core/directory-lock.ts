/** One process per data directory, as a port. Implementation in src/sinks/sqlite/directory-lock.ts. */

export interface DirectoryLock {
  /** Lets the next process in. The lock also ends with its process, however that ends. */
  readonly release: () => Promise<void>;
}

export interface LockDirectoryOptions {
  /** How long to wait for a process that is just ending. Milliseconds; default 2,000. */
  readonly waitMs?: number;
}

/**
 * Makes the directory where it is missing, and takes it for this process.
 * @throws DirectoryInUse while another process holds it
 */
export type LockDirectory = (directory: string, options?: LockDirectoryOptions) => Promise<DirectoryLock>;

/** Another process works in the data directory: two would write over each other's journal. */
export class DirectoryInUse extends Error {
  override readonly name = 'DirectoryInUse';
  readonly code = 'EBUSY';

  /** @param holder who holds it, in words, where known */
  constructor(directory: string, holder?: string) {
    super(
      `The data directory ${directory} is in use by another gateway${holder === undefined ? '' : ` (${holder})`}. ` +
        'Stop that one first, or give this one a directory of its own (SQLITE_DB_PATH).',
    );
  }
}
