import t from 'tap';
import { createLog } from '../../src/telemetry/log.ts';

const capture = (options: Parameters<typeof createLog>[0]) => {
  const lines: string[] = [];
  return { lines, log: createLog({ ...options, destination: { write: (line) => lines.push(line) } }) };
};

t.test('a line is JSON with time, level, fields and message', (t) => {
  const { lines, log } = capture({ pretty: false, level: 'info' });
  log.debug({}, 'not written');
  log.child({ sink: 'totals' }).warn({ attempt: 2 }, 'retrying');
  t.equal(lines.length, 1);
  t.match(JSON.parse(lines[0]!), { level: 'warn', sink: 'totals', attempt: 2, msg: 'retrying', time: /^\d{4}-/ });
  t.end();
});

t.test('an error is told with its message and cause', (t) => {
  const { lines, log } = capture({ pretty: false });
  log.error({ error: new Error('outer', { cause: new Error('inner') }) }, 'failed');
  t.match((JSON.parse(lines[0]!) as { error: unknown }).error, { message: /outer.*inner/, stack: /inner/ });
  t.end();
});

t.test('what looks like a secret is never written', (t) => {
  const secret = `mcp_metrics_${'aB3_-'.repeat(8)}xyz`;
  for (const pretty of [false, true]) {
    const { lines, log } = capture({ pretty });
    log.info({ apiKey: 'hunter22', headers: { 'x-api-key': 'hunter23' }, note: `key ${secret}` }, `got ${secret}`);
    log.info({ authorization: 'Bearer hunter24' }, 'header was Bearer hunter25abc');
    const text = lines.join('');
    t.notMatch(text, /hunter2|aB3_/);
    t.match(text, /\[redacted\]/);
  }
  t.end();
});
