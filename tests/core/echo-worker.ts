/** A worker thread that says what it was given. */
import { parentPort } from 'node:worker_threads';
import { threadData } from '../../src/core/threads.ts';

const port = parentPort;
const given = await threadData();
port?.postMessage({ given });
