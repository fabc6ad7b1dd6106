/** The key store: keys in memory by SHA-256, kept in the gateway's SQLite file, current within a second. */
import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { KeyRecord, KeyStore } from '../../core/key-store.ts';
import type { Clock, Log, Timer } from '../../core/ports.ts';
import { Refusal } from '../../core/refusal.ts';
import { environmentKey, hasEnded, type StoredKey } from './keys-table.ts';
import { openStore } from './store.ts';

export interface KeyStoreOptions {
  /** The database file; shared with the sqlite sink where it names the same. */
  readonly path: string;
  readonly log: Log;
  readonly clock: Clock;
  /** How often counted uses are written. Default 10,000 ms. */
  readonly usageFlushIntervalMs?: number;
}

/** A key as it is held in memory. */
interface Known {
  readonly digest: Uint8Array;
  readonly record: KeyRecord;
}

const sha256 = (secret: string): string => hash('sha256', secret, 'hex');
/** 256 random bits, 43 characters. */
const newSecret = (): string => `mcp_metrics_${randomBytes(32).toString('base64url')}`;
const newId = (): string => `key_${randomBytes(8).toString('hex')}`;

export async function openKeyStore({ path, log, clock, ...options }: KeyStoreOptions): Promise<KeyStore> {
  const store = await openStore(path, { log });
  const { keys } = store;
  /** All keys, ended ones too: their senders are told so. */
  const bySha = new Map<string, Known>();
  const usage = new Map<string, { count: number; at: number }>();
  let timer: Timer | undefined;
  let closed = false;

  const isLive = (record: KeyRecord): boolean => !hasEnded(record, clock.now());
  const learn = (changed: readonly StoredKey[], all: boolean): void => {
    if (all) bySha.clear();
    for (const { sha256: digest, record } of changed) bySha.set(digest, { digest: Buffer.from(digest, 'hex'), record });
    if (all) assume();
  };
  /** The environment's keys as they shall be, until the table says the same. */
  let wanted: readonly { readonly id: string; readonly service: string; readonly sha256: string }[] | undefined;
  const assume = (): void => {
    if (wanted === undefined) return;
    const at = clock.now();
    const hashes = new Set(wanted.map((key) => key.sha256));
    for (const { digest, record } of bySha.values()) {
      if (record.origin !== 'environment' || record.revokedAt !== undefined) continue;
      const sha = Buffer.from(digest).toString('hex');
      if (!hashes.has(sha)) bySha.set(sha, { digest, record: { ...record, revokedAt: at } });
    }
    for (const { id, service, sha256: sha } of wanted) {
      if (!bySha.has(sha)) bySha.set(sha, { digest: Buffer.from(sha, 'hex'), record: environmentKey(id, service, at) });
    }
  };
  /** A look-up by hash tells nothing of the secret by its time, and the hash itself is compared in constant time. */
  const recordOf = (digest: string): KeyRecord | undefined => {
    const known = bySha.get(digest);
    if (known === undefined) return undefined;
    const given = Buffer.from(digest, 'hex');
    return given.length === known.digest.length && timingSafeEqual(given, known.digest) ? known.record : undefined;
  };
  keys.onChange(learn);
  learn(await keys.list(), true);

  async function flushUsage(): Promise<void> {
    if (usage.size === 0) return;
    const uses = [...usage].map(([id, { count, at }]) => [id, count, at] as const);
    usage.clear();
    try {
      await keys.addUse(uses);
    } catch (error) {
      for (const [id, count, at] of uses) addUse(id, count, at);
      log.warn({ error: String(error) }, 'counts of key uses could not be written; trying again later');
    }
  }
  function addUse(id: string, count: number, at: number): void {
    const use = usage.get(id);
    if (use === undefined) usage.set(id, { count, at });
    else {
      use.count += count;
      if (at > use.at) use.at = at;
    }
  }
  function schedule(): void {
    timer = clock.after(options.usageFlushIntervalMs ?? 10_000, () => {
      flushUsage()
        .finally(() => {
          if (!closed) schedule();
        })
        .catch(() => undefined);
    });
  }
  schedule();

  const shown = (key: StoredKey | undefined): KeyRecord | undefined =>
    key === undefined ? undefined : withUse(key.record);
  const withUse = (record: KeyRecord): KeyRecord => {
    const use = usage.get(record.id);
    return use === undefined
      ? record
      : {
          ...record,
          usageCount: record.usageCount + use.count,
          lastUsedAt: Math.max(record.lastUsedAt ?? 0, use.at),
        };
  };

  return {
    find: (digest) => {
      const record = recordOf(digest);
      return record !== undefined && isLive(record) ? record : undefined;
    },
    inactive: (digest) => {
      const record = recordOf(digest);
      if (record === undefined || isLive(record)) return undefined;
      return record.revokedAt === undefined ? 'expired' : 'revoked';
    },
    size: () => {
      let live = 0;
      for (const { record } of bySha.values()) if (isLive(record)) live += 1;
      return live;
    },
    list: async () => (await keys.list()).map(({ record }) => withUse(record)),
    create: async (key) => {
      const secret = newSecret();
      const record: KeyRecord = {
        id: newId(),
        service: key.service,
        description: key.description ?? '',
        scopes: key.scopes,
        limits: key.limits ?? {},
        origin: 'created',
        createdAt: clock.now(),
        ...(key.expiresAt === undefined ? undefined : { expiresAt: key.expiresAt }),
        usageCount: 0,
      };
      await keys.insert({ sha256: sha256(secret), record });
      return { record, secret };
    },
    update: async (id, change) => {
      if (change.scopes !== undefined) expectOwnScopes(await keys.list(), id);
      return shown(await keys.update(id, change));
    },
    rotate: async (id, overlapMs) => {
      const secret = newSecret();
      const now = clock.now();
      const next = { id: newId(), createdAt: now, sha256: sha256(secret) };
      const changed = await keys.rotate(id, next, now + overlapMs);
      const made = changed.find(({ record }) => record.id === next.id);
      if (made !== undefined) return { record: made.record, secret };
      if (changed.length > 0) throw endedKey();
      return undefined;
    },
    revoke: async (id) => shown(await keys.revoke(id, clock.now())),
    syncEnvironment: async (named) => {
      wanted = named.map(({ service, secret }) => {
        const sha = sha256(secret);
        return { id: bySha.get(sha)?.record.id ?? newId(), service, sha256: sha };
      });
      assume();
      const { ended, repeated } = await keys.syncEnvironment(wanted, clock.now());
      wanted = undefined;
      for (const service of ended) {
        log.warn(
          { service },
          'the environment names a key that was revoked or has expired; it stays so: give the service a new value',
        );
      }
      for (const service of repeated) {
        log.warn({ service }, "two environment variables hold the same key; it counts as the first one's service");
      }
    },
    recordUse: (id, at) => addUse(id, 1, at),
    close: async () => {
      if (closed) return;
      closed = true;
      timer?.cancel();
      await flushUsage();
      await store.close();
    },
  };
}

/** @throws Refusal for a key of the environment, whose scope is given */
function expectOwnScopes(keys: readonly StoredKey[], id: string): void {
  const known = keys.find(({ record }) => record.id === id);
  if (known?.record.origin !== 'environment') return;
  throw new Refusal(
    'conflict',
    'This key comes from the environment (METRICS_API_KEY_…), and such keys have the scope ingest alone; create another one for other scopes.',
  );
}

const endedKey = (): Refusal =>
  new Refusal('conflict', 'This key was revoked or has expired, so it is not rotated; create a new one.');
