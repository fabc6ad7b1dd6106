/** The committed dashboards as they are read back: panels, their PromQL, and the PromQL as Grafana would send it. */
import { readFileSync } from 'node:fs';

export interface Target {
  readonly refId: string;
  readonly expr: string;
  readonly legendFormat: string;
  readonly instant?: boolean;
  readonly range?: boolean;
}

export interface Threshold {
  readonly value: number | null;
  readonly color: string;
}

interface FieldLook {
  readonly unit?: string;
  readonly thresholds?: { readonly steps: readonly Threshold[] };
  readonly custom?: { readonly drawStyle?: string };
}

export interface DashboardPanel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly datasource?: { readonly uid: string };
  readonly targets?: readonly Target[];
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly fieldConfig?: {
    readonly defaults: FieldLook;
    readonly overrides: readonly {
      readonly matcher: { readonly options: string };
      readonly properties: readonly { readonly id: string; readonly value: unknown }[];
    }[];
  };
}

export interface Variable {
  readonly name: string;
  readonly label?: string;
  readonly type: string;
  readonly multi?: boolean;
  readonly allValue?: string;
  readonly query: string | { readonly query: string };
}

export interface DashboardFile {
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  readonly refresh: string;
  readonly time: { readonly from: string; readonly to: string };
  readonly panels: readonly DashboardPanel[];
  readonly templating: { readonly list: readonly Variable[] };
  readonly annotations: { readonly list: readonly { readonly name: string; readonly expr: string }[] };
}

export const readDashboard = (uid: string): DashboardFile =>
  JSON.parse(readFileSync(new URL(`../../dashboards/${uid}.json`, import.meta.url), 'utf8')) as DashboardFile;

/** As Grafana puts values in place of variables; a variable that is not given is All. */
export const interpolate = (expr: string, values: Readonly<Record<string, string>> = {}): string => {
  const all: Record<string, string> = { __range: '1h', __interval: '30s', __rate_interval: '1m', ...values };
  return expr.replaceAll(/\$(\w+)/g, (_, name: string) => all[name] ?? '.*');
};
