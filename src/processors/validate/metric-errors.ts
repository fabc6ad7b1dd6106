/** Errors as clients read them: `metrics[3].dimensions.a-b: …`, bounded in number and length, fit for a terminal. */
import type { GenericIssue } from 'valibot';

const MAX_PART_LENGTH = 64;
const MAX_MESSAGE_LENGTH = 300;

/** A list that keeps the first entries and counts the rest. */
export interface ErrorList {
  readonly add: (error: string) => void;
  /** Counts an error without its words. */
  readonly omit: () => void;
  readonly full: () => boolean;
  readonly errors: readonly string[];
  readonly omitted: () => number;
}

export function createErrorList(max: number): ErrorList {
  const errors: string[] = [];
  let omitted = 0;
  return {
    add: (error) => {
      if (errors.length < max) errors.push(error);
      else omitted += 1;
    },
    omit: () => {
      omitted += 1;
    },
    full: () => errors.length >= max,
    errors,
    omitted: () => omitted,
  };
}

/** `path: message`. Values are never part of it: what a client sent by mistake does not come back in a log. */
export function describeIssue(issue: GenericIssue, prefix: string, secret?: string): string {
  let path = prefix;
  for (const part of issue.path ?? []) {
    const { key } = part as { key?: unknown };
    path += typeof key === 'number' ? `[${key}]` : `${path === '' ? '' : '.'}${readable(String(key), secret)}`;
  }
  return `${path === '' ? 'body' : path}: ${cut(issue.message, MAX_MESSAGE_LENGTH)}`;
}

/**
 * A member's name from outside, for a message: control characters escaped, bounded, nothing that looks like a key.
 * @param secret the key that came with the request: any text, where it comes from the environment
 */
export function readable(name: string, secret?: string): string {
  const shown = secret === undefined || secret.length < LEAST_SECRET ? name : name.replaceAll(secret, '[key]');
  const escaped = JSON.stringify(cut(shown, MAX_PART_LENGTH)).slice(1, -1);
  return escaped
    .replace(/mcp_metrics_[A-Za-z0-9_-]+/g, 'mcp_metrics_…')
    .replace(
      /[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
      (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );
}

/** Shorter ones would take ordinary words out of messages. */
const LEAST_SECRET = 8;

const cut = (text: string, length: number): string => (text.length <= length ? text : `${text.slice(0, length)}…`);
