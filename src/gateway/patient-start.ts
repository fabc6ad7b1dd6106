/**
 * Starts a gateway, however long that takes: a database that another process holds and a full disk are waited for in the
 * open, with the reason on `/readyz`. Whoever supervises the process sees one that lives, not one that ends again and again.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { backoffDelay } from '../core/backoff.ts';
import type { Pipeline } from '../core/pipeline.ts';
import { type Gateway, type GatewayOptions, startGateway } from '../gateway.ts';
import type { Listener } from '../http/server.ts';
import { openWaitingRoom } from '../http/waiting-room.ts';
import { isPassing } from '../sinks/sqlite/owed-writes.ts';

const BACKOFF = { initialMs: 500, maxMs: 5000 };
/** Answers under way in the waiting room get so long to be sent. */
const ROOM_GRACE_MS = 200;

/**
 * @param signal ends the waiting
 * @returns undefined where the signal came first
 * @throws what keeps the gateway from starting and does not pass by itself
 */
export async function startPatiently(
  pipeline: Pipeline,
  options: GatewayOptions,
  signal: AbortSignal,
): Promise<Gateway | undefined> {
  const { log, version } = options;
  let problem = '';
  let room: Listener | undefined;
  const leaveRoom = async (): Promise<void> => {
    await room?.close(ROOM_GRACE_MS);
    room = undefined;
  };
  try {
    for (let failures = 1; !signal.aborted; failures += 1) {
      try {
        return await startGateway(pipeline, { ...options, beforeListen: leaveRoom });
      } catch (error) {
        if (!isPassing(error)) throw error;
        const { message } = error as Error;
        if (message !== problem) log.error({ err: error }, 'the gateway cannot start yet; it tries again until it can');
        problem = message;
        room ??= await openWaitingRoom(
          { name: 'metrics-collection', version, readiness: () => ({ ready: false, problems: [`start: ${problem}`] }) },
          pipeline.server,
        );
        await sleep(backoffDelay(failures, BACKOFF), undefined, { signal }).catch(() => undefined);
      }
    }
    return undefined;
  } finally {
    await leaveRoom();
  }
}
