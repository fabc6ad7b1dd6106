/** JSON-RPC messages as they pass a transport: read without trust, for any of them may be anything. */

export type RequestId = string | number;

/** The member of an object, undefined where there is none. */
export const member = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)[name] : undefined;

export const textMember = (value: unknown, name: string): string | undefined => {
  const found = member(value, name);
  return typeof found === 'string' ? found : undefined;
};

export type Message =
  | { readonly kind: 'request'; readonly id: RequestId; readonly method: string; readonly params: unknown }
  | { readonly kind: 'notification'; readonly method: string; readonly params: unknown }
  | { readonly kind: 'response'; readonly id: RequestId; readonly result: unknown; readonly error: unknown };

/** What kind of message this is (JSON-RPC 2.0, sections 4 and 5); undefined for what is none. */
export function readMessage(message: unknown): Message | undefined {
  const id = member(message, 'id');
  const method = member(message, 'method');
  const hasId = typeof id === 'string' || typeof id === 'number';
  if (typeof method === 'string') {
    const params = member(message, 'params');
    return hasId ? { kind: 'request', id, method, params } : { kind: 'notification', method, params };
  }
  if (!hasId) return undefined;
  return { kind: 'response', id, result: member(message, 'result'), error: member(message, 'error') };
}

/** Per-request identity under protocol 2026-07-28, which has no handshake, and what a notification's subscription is. */
const META = 'io.modelcontextprotocol/';
type MetaName = 'clientInfo' | 'serverInfo' | 'protocolVersion' | 'subscriptionId';
export const metaMember = (holder: unknown, name: MetaName): unknown => member(member(holder, '_meta'), META + name);

/** A protocol version, which is a date; undefined for whatever else a peer may call one, since it becomes an attribute. */
export const versionOf = (value: unknown): string | undefined =>
  typeof value === 'string' && /^20\d\d-[01]\d-[0-3]\d$/.test(value) ? value : undefined;
