/**
 * Bodies of 0.1 to 10 MiB, one at a time and with empty queues: the longest piece of work that the HTTP thread does for one, and how
 * long a small request beside it waits. The piece is counted with nothing beside, since the probe's hooks take time themselves.
 */
import { fork } from 'node:child_process';
import { askChild } from '../ask-child.ts';
import { bodies } from '../bodies.ts';
import type { Waited } from '../door-client.ts';
import type { LongPieces } from '../probes/long-pieces.ts';
import { type Figure, median, type Scenario } from '../scenario.ts';
import { type GatewayUnderTest, startServer } from '../servers.ts';

const MIB = 1024 ** 2;
const SIZES_MIB = [0.1, 0.5, 1, 5, 10];
/** Bodies of the smallest size, until what reads them is compiled. */
const WARM_UPS = 50;

interface Body {
  readonly text: string;
  readonly metrics: number;
}

/** Of recorded metrics, as many as fit. */
function bodyOf(mib: number): Body {
  const sample = 1000;
  const perMetric = JSON.stringify(bodies(sample, 1)[0]).length / sample;
  const metrics = Math.floor((mib * MIB) / perMetric);
  return { text: JSON.stringify(bodies(metrics, 1)[0]), metrics };
}

/** @throws Error for any other answer than 200, and where a metric of it was not taken */
async function send({ gateway }: GatewayUnderTest, { text, metrics }: Body): Promise<void> {
  const response = await gateway.post(text);
  const answer = await response.text();
  if (response.status !== 200 || (JSON.parse(answer) as { accepted: number }).accepted !== metrics)
    throw new Error(`a body of ${text.length} bytes: ${response.status} ${answer}`);
}

export const scenario: Scenario = async (settings) => {
  const { rounds, small, say } = settings;
  const sizes = small ? SIZES_MIB.slice(0, 1) : SIZES_MIB;
  const server = await startServer(settings, {
    config: 'large-bodies.config.ts',
    probe: 'long-pieces',
    env: { MAX_REQUEST_SIZE: '16MB' },
  });
  const all = sizes.map((mib) => ({ mib, body: bodyOf(mib), pieces: [] as number[], waits: [] as number[] }));
  let refused = 0;
  try {
    for (let warmUp = 0; warmUp < (small ? 1 : WARM_UPS); warmUp += 1) await send(server, all[0]!.body);
    for (const { mib, body, pieces } of all) {
      let longest: LongPieces | undefined;
      for (let round = 0; round < rounds; round += 1) {
        await server.gateway.flush();
        const found = (await server.probed(() => send(server, body))) as LongPieces;
        pieces.push(found.longestMs);
        if (longest === undefined || found.longestMs > longest.longestMs) longest = found;
      }
      for (const { kind, cpuMs, collectingMs, functions } of longest?.longest.slice(0, 1) ?? [])
        say(
          `${mib} MiB: ${kind}, ${cpuMs.toFixed(1)} ms of CPU, ${collectingMs.toFixed(1)} ms collecting garbage; ${functions.join(', ')}`,
        );
    }
    const client = fork(new URL('../door-client.ts', import.meta.url));
    try {
      client.send({ url: server.url, key: server.keys[0] });
      for (const { body, waits } of all) {
        for (let round = 0; round < rounds; round += 1) {
          await server.gateway.flush();
          refused += (await askChild<Waited>(client, {})).failed;
          await send(server, body);
          const { longest, failed } = await askChild<Waited>(client, {});
          waits.push(longest);
          refused += failed;
        }
      }
    } finally {
      client.kill();
    }
  } finally {
    await server.stop();
  }
  const figures = all.flatMap(({ mib, body: { text, metrics }, pieces, waits }): Figure[] => {
    const name = `${mib} MiB, ${metrics.toLocaleString('en-US')} metrics`;
    const piece = median(pieces);
    return [
      { what: `${name}: CPU of the longest piece of work on the HTTP thread`, value: piece, unit: 'ms' },
      { what: `${name}: the same for each 100 KB`, value: (piece * 100_000) / text.length, unit: 'ms' },
      { what: `${name}: the longest wait of a small request beside it`, value: median(waits), unit: 'ms' },
    ];
  });
  return [...figures, { what: 'small requests refused or failed', value: refused, unit: '', goal: { atMost: 0 } }];
};
