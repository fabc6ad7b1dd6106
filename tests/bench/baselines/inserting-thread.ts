/**
 * A thread that keeps a core as busy as it is told, with prepared inserts of recorded rows. Each message is the share of the
 * time that it is to compute from now on, 0 to 1. `workerData`: the database that the rows come from, and the file to fill.
 */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { type Inserting, preparedInserts, removeDatabase } from './prepared-inserts.ts';

const PAUSE_MS = 2;
const { rows, target } = workerData as { rows: string; target: string };
const inserts = preparedInserts(rows);
const pause = new Int32Array(new SharedArrayBuffer(4));

const used = (): number => {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
};

let share = 0;
let began = { at: performance.now(), used: used() };
let inserting: Inserting | undefined;

function insertSome(): void {
  inserting ??= inserts.begin(target);
  if (inserting.next()) return;
  inserting.close();
  inserting = undefined;
  removeDatabase(target);
}

// Ends with its process.
for (;;) {
  const order = receiveMessageOnPort(parentPort!);
  if (order !== undefined) {
    share = Number(order.message);
    began = { at: performance.now(), used: used() };
  }
  if (used() - began.used < share * (performance.now() - began.at)) insertSome();
  else Atomics.wait(pause, 0, 0, PAUSE_MS);
}
