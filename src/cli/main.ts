/** `mcp-metrics`. What takes longest at the start of a gateway begins first: its threads load while this one does. */
import { startThreadsEarly } from '../gateway/early-threads.ts';

if (process.argv[2] === 'start') startThreadsEarly();
await import('./run.ts');
