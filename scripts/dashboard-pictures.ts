/** `npm run dashboards:pictures`: draws both dashboards from what a Prometheus holds, as docs/pictures/<uid>.svg. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { readDashboard } from '../deploy/grafana/src/picture/dashboard-file.ts';
import { spanUntil } from '../deploy/grafana/src/picture/data.ts';
import { drawDashboard } from '../deploy/grafana/src/picture/page.ts';

const { values } = parseArgs({
  options: {
    /** Where the Prometheus is that scrapes the gateway. */
    prometheus: { type: 'string', default: 'http://localhost:9090' },
    /** Minutes until now. */
    minutes: { type: 'string', default: '60' },
    /** The folder that the pictures are written to. */
    to: { type: 'string', default: 'docs/pictures' },
  },
});
const minutes = Number(values.minutes);
if (!(minutes > 0 && minutes <= 10_080)) {
  throw new Error(`--minutes ${values.minutes}: expected a number above 0, at most 10080, a week`);
}
const span = spanUntil(Date.now(), minutes * 60);
mkdirSync(values.to, { recursive: true });
for (const uid of ['mcp-analytics-comprehensive', 'mcp-gateway-health']) {
  const file = join(values.to, `${uid}.svg`);
  writeFileSync(file, await drawDashboard(values.prometheus.replace(/\/$/, ''), readDashboard(uid), span));
  console.log(file);
}
