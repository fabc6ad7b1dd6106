/** A caller in a process of its own: for each message, so many requests, one after the other over one connection, as `client-overhead.ts` has it. */
import { once } from 'node:events';
import { Agent, request } from 'node:http';

export interface Turn {
  readonly url: string;
  readonly count: number;
}

/** How long each request took, microseconds: from asking to the end of the answer. */
export type Took = readonly number[];

const HEADERS = { 'x-original-url': 'https://host/weather/mcp', 'x-username': 'alice', 'x-auth-method': 'jwt' };
const agent = new Agent({ keepAlive: true, maxSockets: 1 });

async function turn({ url, count }: Turn): Promise<Took> {
  const took: number[] = [];
  for (let i = 0; i < count; i += 1) {
    const began = performance.now();
    const [response] = (await once(request(url, { agent, headers: HEADERS }).end(), 'response')) as [
      NodeJS.ReadableStream,
    ];
    response.resume();
    await once(response, 'end');
    took.push((performance.now() - began) * 1000);
  }
  return took;
}

process.on('message', (message: Turn) => {
  turn(message).then(
    (took) => process.send?.(took),
    // Ends this process, and with it the run that waits for it.
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
});
