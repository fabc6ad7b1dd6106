/** A key store in memory, for tests of what stands before the database. */
import { hash } from 'node:crypto';
import type { KeyRecord, KeyStore, Limits, Scope } from '../../src/core/key-store.ts';

export interface MemoryKeys extends KeyStore {
  /** Makes a key with a secret of the test's choice. */
  readonly add: (secret: string, key?: { service?: string; scopes?: readonly Scope[]; limits?: Limits }) => KeyRecord;
  readonly end: (secret: string, how: 'revoked' | 'expired') => void;
  readonly uses: (id: string) => number;
}

const unsupported = () => Promise.reject(new Error('this test double only finds keys'));

export function memoryKeys(): MemoryKeys {
  const live = new Map<string, KeyRecord>();
  const ended = new Map<string, 'revoked' | 'expired'>();
  const uses = new Map<string, number>();
  const digest = (secret: string): string => hash('sha256', secret);
  return {
    add: (secret, { service = 'auth-server', scopes = ['ingest' as const], limits = {} } = {}) => {
      const record: KeyRecord = {
        id: `key_${digest(`id of ${secret}`).slice(0, 16)}`,
        service,
        description: '',
        scopes,
        limits,
        origin: 'created',
        createdAt: 0,
        usageCount: 0,
      };
      live.set(digest(secret), record);
      return record;
    },
    end: (secret, how) => {
      live.delete(digest(secret));
      ended.set(digest(secret), how);
    },
    uses: (id) => uses.get(id) ?? 0,
    find: (sha256) => live.get(sha256),
    inactive: (sha256) => ended.get(sha256),
    size: () => live.size,
    list: () => Promise.resolve([...live.values()]),
    recordUse: (id) => {
      uses.set(id, (uses.get(id) ?? 0) + 1);
    },
    create: unsupported,
    update: unsupported,
    rotate: unsupported,
    revoke: unsupported,
    syncEnvironment: unsupported,
    close: () => Promise.resolve(),
  };
}
