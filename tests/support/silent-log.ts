/** A log that keeps nothing. */
import type { Log } from '../../src/core/ports.ts';

export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => silentLog };
