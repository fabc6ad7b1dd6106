/** The dashboards by the name of their file in deploy/grafana/dashboards, as they are committed. */
import { analytics } from './analytics.ts';
import { health } from './health.ts';

export const dashboards = (): Readonly<Record<string, string>> =>
  Object.fromEntries(
    [analytics(), health()].map((dashboard) => [`${dashboard.uid}.json`, `${JSON.stringify(dashboard, null, 2)}\n`]),
  );
