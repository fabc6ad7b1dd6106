/**
 * Sees every message that passes a transport, without standing in its way. The transport itself stays: SDKs look at its
 * class and its private parts. Only `send`, `start`, `onmessage` and `onclose` get a listener each, and a listener that
 * throws changes nothing.
 */

type OnMessage = (message: unknown, extra?: unknown) => void;

/** A transport of either SDK generation, as far as it is used here. */
export interface TapTransport {
  start?: (...args: unknown[]) => unknown;
  send: (message: unknown, options?: unknown) => Promise<unknown>;
  onmessage?: OnMessage | undefined;
  onclose?: (() => void) | undefined;
  readonly sessionId?: unknown;
}

export interface Tap {
  /** Before the SDK sees the message. */
  readonly received: (message: unknown, extra: unknown) => void;
  /** Before the message goes out. */
  readonly sent: (message: unknown, options: unknown) => void;
  /** A message that could not be sent. */
  readonly failed: (message: unknown, error: unknown) => void;
  /** May come more than once. */
  readonly closed: () => void;
}

const tapped = new WeakSet<object>();

function quietly<Args extends readonly unknown[]>(listen: (...args: Args) => void): (...args: Args) => void {
  return (...args) => {
    try {
      listen(...args);
    } catch {
      // Measuring never disturbs what is measured.
    }
  };
}

/** Call before the SDK connects to the transport. */
export function tapTransport(transport: TapTransport, tap: Tap): void {
  if (tapped.has(transport)) return;
  tapped.add(transport);
  const received = quietly(tap.received);
  const sent = quietly(tap.sent);
  const failed = quietly(tap.failed);
  const closed = quietly(tap.closed);

  // SDKs call the handlers that they find before their own, so one set now sees all. A client that first probes the
  // server takes them away meanwhile: handlers found at `start` are wrapped too, and no message is seen twice.
  let seen: unknown;
  const listen = (message: unknown, extra: unknown): void => {
    if (message !== seen) received(message, extra);
  };
  const { onmessage, onclose, send, start } = transport;
  const own: OnMessage = (message, extra) => {
    listen(message, extra);
    onmessage?.call(transport, message, extra);
  };
  Object.assign(transport, {
    onmessage: own,
    onclose: () => {
      closed();
      onclose?.call(transport);
    },
  });

  transport.send = (message, options) => {
    sent(message, options);
    const sending = send.call(transport, message, options);
    // Only a request of our own fails by not being sent; the SDK handles the rejection as well.
    if (typeof message === 'object' && message !== null && 'method' in message && 'id' in message) {
      Promise.resolve(sending).catch((error: unknown) => failed(message, error));
    }
    return sending;
  };
  if (start === undefined) return;
  transport.start = (...args) => {
    // SDK 1.0 to 1.12 put theirs in place of what they find.
    const closing = transport.onclose;
    Object.assign(transport, {
      onclose: () => {
        closed();
        closing?.call(transport);
      },
    });
    const handler = transport.onmessage;
    if (handler !== undefined && handler !== own) {
      const wrapped: OnMessage = (message, extra) => {
        listen(message, extra);
        const before = seen;
        seen = message;
        try {
          handler.call(transport, message, extra);
        } finally {
          seen = before;
        }
      };
      Object.assign(transport, { onmessage: wrapped });
    }
    return start.apply(transport, args);
  };
}
