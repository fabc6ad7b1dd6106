/** The environment variables of the gateway, read and checked in one place. Every one is described in docs/configuration.md. */
import { existsSync } from 'node:fs';
import * as v from 'valibot';

/** What the environment says, in the units that the pipeline's options take. */
export interface Environment {
  readonly databasePath: string;
  readonly host: string;
  readonly port: number;
  readonly requestsPerMinute: number;
  readonly retentionDays: number;
  /** `METRICS_API_KEY_<NAME>` as the key of service `<name>`: lower case, `_` → `-`. */
  readonly apiKeys: readonly { readonly service: string; readonly secret: string }[];
  readonly flushIntervalMs: number;
  readonly maxBodyBytes: number;
  /** Seconds, ascending; undefined for the default boundaries. */
  readonly histogramBoundaries?: readonly number[];
  readonly serviceName: string;
  readonly prometheus: { readonly enabled: boolean; readonly host: string; readonly port: number };
  /** Undefined leaves the push off, unless a standard `OTEL_EXPORTER_OTLP_*` variable sets one. */
  readonly otlpEndpoint?: string;
}

/** Values that do not parse: each with the variable's name, its value and what was expected. */
export class EnvironmentError extends Error {
  override readonly name = 'EnvironmentError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`the environment is not usable:\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
    this.problems = problems;
  }
}

const KEY_PREFIX = 'METRICS_API_KEY_';
const BYTES_PER_UNIT: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  KB: 1024,
  KIB: 1024,
  MB: 1024 ** 2,
  MIB: 1024 ** 2,
  GB: 1024 ** 3,
  GIB: 1024 ** 3,
};

/** A number written in decimal digits; `Number('')` and `Number('0x10')` are not what anybody meant. */
const decimal = v.pipe(
  v.string(),
  v.trim(),
  v.regex(/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i),
  v.transform(Number),
  v.finite(),
);

const whole = (min: number, max: number) => v.pipe(decimal, v.integer(), v.minValue(min), v.maxValue(max));

const bytes = v.pipe(
  v.string(),
  v.trim(),
  v.regex(/^\d+(\.\d+)?\s*([KMG]?i?B)?$/i),
  v.transform((text) => {
    const [, number = '', unit = ''] = /^([\d.]+)\s*(\w*)$/.exec(text) ?? [];
    return Math.floor(Number(number) * BYTES_PER_UNIT[unit.toUpperCase()]!);
  }),
  v.minValue(1024),
  v.maxValue(1024 ** 3),
);

const boolean = v.pipe(
  v.string(),
  v.trim(),
  v.toLowerCase(),
  v.picklist(['true', 'false', '1', '0', 'yes', 'no', 'on', 'off']),
  v.transform((text) => ['true', '1', 'yes', 'on'].includes(text)),
);

const boundaries = v.pipe(
  v.string(),
  v.transform((text) => text.replaceAll(/[[\]\s]/g, '').split(',')),
  v.array(decimal),
  v.minLength(1),
  v.maxLength(100),
  v.check((list) => list.every((bound, index) => bound > (list[index - 1] ?? 0))),
);

const text = v.pipe(v.string(), v.trim(), v.minLength(1));
const host = v.pipe(text, v.regex(/^[A-Za-z0-9.:_%[\]-]+$/));
const httpUrl = v.pipe(
  text,
  v.url(),
  v.check((url) => /^https?:\/\//.test(url)),
);

/** One line a variable: how it is read, and the words for what is expected. */
const VARIABLES = {
  SQLITE_DB_PATH: { schema: text, expected: 'a file path' },
  METRICS_SERVICE_HOST: { schema: host, expected: 'a host name or address' },
  METRICS_SERVICE_PORT: { schema: whole(0, 65_535), expected: 'a port from 0 to 65535' },
  METRICS_RATE_LIMIT: {
    schema: whole(1, 10_000_000),
    expected: 'requests a minute, a whole number from 1 to 10000000',
  },
  METRICS_RETENTION_DAYS: { schema: whole(1, 3650), expected: 'days, a whole number from 1 to 3650' },
  FLUSH_INTERVAL_SECONDS: {
    schema: v.pipe(decimal, v.minValue(0.01), v.maxValue(3600)),
    expected: 'seconds from 0.01 to 3600',
  },
  MAX_REQUEST_SIZE: { schema: bytes, expected: 'bytes, or a number with KB, MB or GB, from 1 KB to 1 GB' },
  HISTOGRAM_BUCKET_BOUNDARIES: {
    schema: boundaries,
    expected: 'ascending positive seconds separated by commas, such as 0.01,0.1,1',
  },
  OTEL_SERVICE_NAME: { schema: v.pipe(text, v.maxLength(255)), expected: 'a name of at most 255 characters' },
  OTEL_PROMETHEUS_ENABLED: { schema: boolean, expected: 'true or false' },
  OTEL_PROMETHEUS_HOST: { schema: host, expected: 'a host name or address' },
  OTEL_PROMETHEUS_PORT: { schema: whole(0, 65_535), expected: 'a port from 0 to 65535' },
  OTEL_OTLP_ENDPOINT: { schema: httpUrl, expected: 'an http:// or https:// address' },
  OTEL_EXPORTER_OTLP_ENDPOINT: { schema: httpUrl, expected: 'an http:// or https:// address' },
  OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: { schema: httpUrl, expected: 'an http:// or https:// address' },
} as const;
type Variable = keyof typeof VARIABLES;
type Value<Name extends Variable> = v.InferOutput<(typeof VARIABLES)[Name]['schema']>;

/**
 * Reads the environment. An empty variable counts as unset, as it does for OpenTelemetry.
 * @throws EnvironmentError with every variable that does not parse; keys are never shown
 */
export function environment(variables: Readonly<Record<string, string | undefined>> = process.env): Environment {
  const problems: string[] = [];
  const read = <Name extends Variable>(name: Name): Value<Name> | undefined => {
    const value = variables[name];
    if (value === undefined || value.trim() === '') return undefined;
    const { schema, expected } = VARIABLES[name];
    const result = v.safeParse(schema, value);
    if (result.success) return result.output;
    problems.push(`${name}=${JSON.stringify(withoutPassword(value).slice(0, 200))}: expected ${expected}`);
    return undefined;
  };

  const histogramBoundaries = read('HISTOGRAM_BUCKET_BOUNDARIES');
  // The standard variables win; their metrics-only form is the exporter's own business.
  const standardEndpoint = read('OTEL_EXPORTER_OTLP_METRICS_ENDPOINT') ?? read('OTEL_EXPORTER_OTLP_ENDPOINT');
  const alias = read('OTEL_OTLP_ENDPOINT');
  const otlpEndpoint = standardEndpoint === undefined ? alias : undefined;
  const settings: Environment = {
    databasePath: read('SQLITE_DB_PATH') ?? './data/metrics.db',
    host: read('METRICS_SERVICE_HOST') ?? '127.0.0.1',
    port: read('METRICS_SERVICE_PORT') ?? 8890,
    requestsPerMinute: read('METRICS_RATE_LIMIT') ?? 1000,
    retentionDays: read('METRICS_RETENTION_DAYS') ?? 90,
    apiKeys: readKeys(variables, problems),
    flushIntervalMs: (read('FLUSH_INTERVAL_SECONDS') ?? 5) * 1000,
    maxBodyBytes: read('MAX_REQUEST_SIZE') ?? 10 * 1024 ** 2,
    ...(histogramBoundaries === undefined ? undefined : { histogramBoundaries }),
    serviceName: read('OTEL_SERVICE_NAME') ?? 'mcp-metrics-service',
    prometheus: {
      enabled: read('OTEL_PROMETHEUS_ENABLED') ?? true,
      host: read('OTEL_PROMETHEUS_HOST') ?? '127.0.0.1',
      port: read('OTEL_PROMETHEUS_PORT') ?? 9465,
    },
    ...(otlpEndpoint === undefined ? undefined : { otlpEndpoint }),
  };
  checkStandardVariables(variables, problems);
  if (problems.length > 0) throw new EnvironmentError(problems);
  return settings;
}

/** An address may carry a user and a password before its `@`. */
const withoutPassword = (value: string): string => value.replace(/^.*@/s, '(not shown)@');

/** `key=value` pairs separated by commas, as the OpenTelemetry specification has headers and resource attributes. */
const isPairs = (text: string): boolean => text.split(',').every((pair) => /^\s*[^\s=]+\s*=/.test(pair));

/** OpenTelemetry's own variables that the OTLP push reads: what it would drop without a word stops the start instead. */
const STANDARD_VARIABLES: Readonly<Record<string, readonly [fits: (value: string) => boolean, expected: string]>> = {
  COMPRESSION: [(value) => value === 'gzip' || value === 'none', 'gzip or none'],
  PROTOCOL: [(value) => value === 'http/protobuf', 'http/protobuf, the one protocol spoken'],
  HEADERS: [isPairs, 'key=value pairs separated by commas'],
  CERTIFICATE: [existsSync, 'the path of a file that is there'],
  CLIENT_CERTIFICATE: [existsSync, 'the path of a file that is there'],
  CLIENT_KEY: [existsSync, 'the path of a file that is there'],
};

function checkStandardVariables(variables: Readonly<Record<string, string | undefined>>, problems: string[]): void {
  const check = (name: string, fits: (value: string) => boolean, expected: string): void => {
    const value = variables[name]?.trim();
    if (value === undefined || value === '' || fits(value)) return;
    // Headers carry vendors' keys.
    const shown = name.endsWith('HEADERS')
      ? `(${value.length} characters, not shown)`
      : JSON.stringify(value.slice(0, 200));
    problems.push(`${name}=${shown}: expected ${expected}`);
  };
  for (const [end, [fits, expected]] of Object.entries(STANDARD_VARIABLES)) {
    check(`OTEL_EXPORTER_OTLP_${end}`, fits, expected);
    check(`OTEL_EXPORTER_OTLP_METRICS_${end}`, fits, expected);
  }
  check('OTEL_RESOURCE_ATTRIBUTES', isPairs, 'key=value pairs separated by commas');
}

/** Key texts may be anything printable; they are told by name and length only. */
function readKeys(
  variables: Readonly<Record<string, string | undefined>>,
  problems: string[],
): readonly { service: string; secret: string }[] {
  const keys: { service: string; secret: string }[] = [];
  const owners = new Map<string, string>();
  for (const [name, secret] of Object.entries(variables)) {
    if (!name.startsWith(KEY_PREFIX) || secret === undefined || secret === '') continue;
    const service = name.slice(KEY_PREFIX.length).toLowerCase().replaceAll('_', '-');
    if (!/^[a-z0-9-]{1,100}$/.test(service)) {
      problems.push(`${name}: expected a service name of letters, digits and _ after ${KEY_PREFIX}`);
    } else if (!/^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(secret) || secret.length > 512) {
      problems.push(
        `${name}=(${secret.length} characters, not shown): expected 1 to 512 printable ASCII characters, no space at either end`,
      );
    } else if (owners.has(secret)) {
      problems.push(`${name}: expected a key of its own; ${owners.get(secret)} has the same`);
    } else {
      owners.set(secret, name);
      keys.push({ service, secret });
    }
  }
  return keys;
}
