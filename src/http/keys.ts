/** `/admin/keys`: keys are made, listed, changed, rotated and revoked; a secret is shown once and kept nowhere. */
import { Hono } from 'hono';
import type { KeyChange as StoredChange, KeyRecord } from '../core/key-store.ts';
import { Refusal } from '../core/refusal.ts';
import { parseTimestamp } from '../core/timestamp.ts';
import { KeyChange, NewKey, Rotation } from './answers.ts';
import type { AppEnv } from './app-env.ts';
import { requireScope } from './caller.ts';
import type { HttpDependencies } from './dependencies.ts';
import { operation } from './operation.ts';
import { readBody, readParameters } from './parameters.ts';

const ADMIN = ['admin'] as const;
const ID = { id: { description: 'the public id of a key, key_ and 16 hex digits' } };
const DEFAULT_OVERLAP_SECONDS = 86_400;

export function keyRoutes(dependencies: HttpDependencies): Hono<AppEnv> {
  const { keys, clock, log } = dependencies;
  const show = (record: KeyRecord) => keyJson(record, clock.now());

  return new Hono<AppEnv>()
    .get(
      '/admin/keys',
      operation({
        summary: 'List all keys, never their secrets',
        tag: 'keys',
        needs: ADMIN,
        answers: { 200: { description: 'All keys, revoked and expired ones too', shape: 'KeyList' } },
      }),
      async (c) => {
        requireScope(c, dependencies, ADMIN);
        return c.json({ keys: (await keys.list()).map(show) });
      },
    )
    .post(
      '/admin/keys',
      operation({
        summary: 'Make a key',
        description: 'Scopes default to `ingest`.',
        tag: 'keys',
        needs: ADMIN,
        body: NewKey,
        bodyRequired: true,
        answers: { 201: { description: 'The key, and its secret for this once', shape: 'KeyWithSecret' } },
        refusals: ['malformed', 'too_large', 'invalid'],
      }),
      async (c) => {
        const { keyId: by } = requireScope(c, dependencies, ADMIN);
        const { service, ...rest } = await readBody(c, NewKey);
        const { scopes = ['ingest'] as const, expiresAt, ...change } = changeOf(rest);
        if (typeof expiresAt === 'number' && expiresAt <= clock.now())
          throw new Refusal('invalid', 'expires_at: expected a time to come; this key would be refused from the start');
        const expiry = typeof expiresAt === 'number' ? { expiresAt } : undefined;
        const { record, secret } = await keys.create({ service, scopes, ...change, ...expiry });
        log.info({ by, key: record.id, service, scopes }, 'key created');
        return c.json({ key: show(record), secret }, 201);
      },
    )
    .get(
      '/admin/keys/:id',
      operation({
        summary: 'Show one key',
        tag: 'keys',
        needs: ADMIN,
        path: ID,
        answers: { 200: { description: 'The key', shape: 'Key' } },
        refusals: ['not_found'],
      }),
      async (c) => {
        requireScope(c, dependencies, ADMIN);
        const id = c.req.param('id');
        return c.json(show(known((await keys.list()).find((record) => record.id === id))));
      },
    )
    .patch(
      '/admin/keys/:id',
      operation({
        summary: 'Change description, scopes, limit or expiry of a key',
        description: 'What is not named stays. Keys of the environment have the scope `ingest` alone.',
        tag: 'keys',
        needs: ADMIN,
        path: ID,
        body: KeyChange,
        bodyRequired: true,
        answers: { 200: { description: 'The key as it is now', shape: 'Key' } },
        refusals: ['not_found', 'malformed', 'conflict', 'too_large', 'invalid'],
      }),
      async (c) => {
        const { keyId: by } = requireScope(c, dependencies, ADMIN);
        const change = await readBody(c, KeyChange);
        const record = known(await keys.update(c.req.param('id'), changeOf(change)));
        log.info({ by, key: record.id, changed: Object.keys(change) }, 'key changed');
        return c.json(show(record));
      },
    )
    .post(
      '/admin/keys/:id/rotate',
      operation({
        summary: 'Replace a key by a new one',
        description:
          'The new key has an id of its own and all else of the old one, which works for the overlap. A key that has ended is not rotated.',
        tag: 'keys',
        needs: ADMIN,
        path: ID,
        query: Rotation,
        body: Rotation,
        answers: { 201: { description: 'The new key, and its secret for this once', shape: 'KeyWithSecret' } },
        refusals: ['not_found', 'malformed', 'conflict', 'too_large', 'invalid'],
      }),
      async (c) => {
        const { keyId: by } = requireScope(c, dependencies, ADMIN);
        const { overlap_seconds: overlap = DEFAULT_OVERLAP_SECONDS } = await readParameters(c, Rotation);
        const id = c.req.param('id');
        const { record, secret } = known(await keys.rotate(id, overlap * 1000));
        log.info({ by, key: record.id, replaces: id, overlapSeconds: overlap }, 'key rotated');
        return c.json({ key: show(record), secret }, 201);
      },
    )
    .delete(
      '/admin/keys/:id',
      operation({
        summary: 'Revoke a key',
        description: 'It stops working within a second, and stays listed.',
        tag: 'keys',
        needs: ADMIN,
        path: ID,
        answers: { 200: { description: 'The revoked key', shape: 'Key' } },
        refusals: ['not_found'],
      }),
      async (c) => {
        const { keyId: by } = requireScope(c, dependencies, ADMIN);
        const record = known(await keys.revoke(c.req.param('id')));
        log.info({ by, key: record.id }, 'key revoked');
        return c.json(show(record));
      },
    );
}

function known<Found>(found: Found | undefined): Found {
  if (found !== undefined) return found;
  throw new Refusal('not_found', 'No key has this id; GET /admin/keys lists them.');
}

interface Change {
  readonly description?: string | undefined;
  readonly scopes?: KeyRecord['scopes'] | undefined;
  readonly requests_per_minute?: number | null | undefined;
  readonly expires_at?: string | null | undefined;
}

function changeOf({ description, scopes, requests_per_minute: perMinute, expires_at: expires }: Change): StoredChange {
  return {
    ...(description === undefined ? undefined : { description }),
    ...(scopes === undefined ? undefined : { scopes: [...new Set(scopes)] }),
    ...(perMinute === undefined ? undefined : { limits: perMinute === null ? {} : { requestsPerMinute: perMinute } }),
    ...(expires === undefined ? undefined : { expiresAt: expires === null ? null : parseTimestamp(expires) }),
  };
}

const isoOf = (time: number | undefined): string | null => (time === undefined ? null : new Date(time).toISOString());

function keyJson(record: KeyRecord, now: number) {
  const expired = record.expiresAt !== undefined && record.expiresAt <= now;
  return {
    id: record.id,
    service: record.service,
    description: record.description,
    scopes: record.scopes,
    requests_per_minute: record.limits.requestsPerMinute ?? null,
    origin: record.origin,
    state: record.revokedAt !== undefined ? 'revoked' : expired ? 'expired' : 'active',
    created_at: isoOf(record.createdAt),
    expires_at: isoOf(record.expiresAt),
    revoked_at: isoOf(record.revokedAt),
    last_used_at: isoOf(record.lastUsedAt),
    usage_count: record.usageCount,
  };
}
