/** Sends an answer so that the client gets it, also where its body was not read: RFC 9112, section 9.6. */
import type { IncomingMessage, ServerResponse } from 'node:http';

/** What is left of a refused body is read and thrown away up to here; a client that sends more is cut off. */
const MAX_DRAINED_BYTES = 16 * 1024 * 1024;
const DRAIN_TIMEOUT_MS = 2000;
/** With no more than this left to come, the connection is worth keeping. */
const MAX_KEPT_BYTES = 1024 * 1024;

/**
 * Sends the whole answer at once. Where a body is still coming, the response is ended only after that was read and
 * thrown away: closing at once would reset the connection, and the client might never see the answer.
 * @param headers names and values in turn, without Content-Length
 */
export function send(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  status: number,
  headers: string[],
  body: string,
): void {
  if (outgoing.headersSent || outgoing.destroyed || !incoming.socket.writable) return;
  headers.push('Content-Length', String(Buffer.byteLength(body)));
  if (incoming.complete) {
    outgoing.writeHead(status, headers);
    outgoing.end(body);
    return;
  }
  if (!isWorthKeeping(incoming)) headers.push('Connection', 'close');
  outgoing.writeHead(status, headers);
  outgoing.write(body);
  drain(incoming, () => outgoing.end());
}

function isWorthKeeping(incoming: IncomingMessage): boolean {
  // A client that was told neither to go on nor to stop may send its body or not: what follows cannot be told apart.
  if (incoming.headers.expect !== undefined) return false;
  const length = incoming.headers['content-length'];
  if (length !== undefined) return Number(length) <= MAX_KEPT_BYTES;
  return incoming.headers['transfer-encoding'] === undefined;
}

/** Reads and throws away, to the end, to a limit, or until it takes too long. */
function drain(incoming: IncomingMessage, done: () => void): void {
  let bytes = 0;
  const timer = setTimeout(giveUp, DRAIN_TIMEOUT_MS);
  timer.unref();
  function stop(): void {
    clearTimeout(timer);
    incoming.off('data', onData).off('end', stop).off('error', stop).off('close', stop);
    done();
  }
  function giveUp(): void {
    stop();
    incoming.socket.destroySoon();
  }
  function onData(chunk: Uint8Array): void {
    bytes += chunk.length;
    if (bytes > MAX_DRAINED_BYTES) giveUp();
  }
  incoming.on('data', onData).on('end', stop).on('error', stop).on('close', stop).resume();
}
