/** Writes deploy/grafana/dashboards/*.json from deploy/grafana/src. A test holds the two together. */
import { writeFileSync } from 'node:fs';
import { dashboards } from '../deploy/grafana/src/dashboards.ts';

for (const [name, text] of Object.entries(dashboards())) {
  writeFileSync(new URL(`../deploy/grafana/dashboards/${name}`, import.meta.url), text);
}
