/** Messages between the main thread and the writer's thread. */
import type { Checkpoint } from '../../core/journal.ts';
import type { StoredKey } from './keys-table.ts';
import type { RetentionPolicy } from './retention-policies.ts';

export interface Call {
  readonly id: number;
  readonly method: string;
  readonly args: readonly unknown[];
}

/** An error as it crosses: `unusable` will not go away by trying again, `outage` may. */
export interface WireError {
  readonly kind: 'unacceptable' | 'rewind' | 'unusable' | 'invalid-query' | 'outage';
  readonly message: string;
  readonly code?: string;
  readonly checkpoint?: Checkpoint;
}

export type Reply =
  | { readonly kind: 'ready' }
  | { readonly kind: 'not-ready'; readonly error: WireError }
  | { readonly kind: 'done'; readonly id: number; readonly result: unknown }
  | { readonly kind: 'failed'; readonly id: number; readonly error: WireError }
  | {
      readonly kind: 'log';
      readonly level: 'info' | 'warn' | 'error';
      readonly fields: object;
      readonly message: string;
    }
  | { readonly kind: 'policies'; readonly policies: readonly RetentionPolicy[] }
  | {
      readonly kind: 'keys';
      readonly keys: readonly StoredKey[];
      /** Set on the last part of a list of all keys; parts before it have `more`. */
      readonly all: boolean;
      readonly more: boolean;
    };
