/** The gateway's log: pino behind the `Log` port, JSON lines for machines and readable lines on a terminal. */
import { createRequire } from 'node:module';
import { pino, stdSerializers, stdTimeFunctions, type DestinationStream, type Logger } from 'pino';
import type * as PinoPretty from 'pino-pretty';
import type { Log } from '../core/ports.ts';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface LogOptions {
  /** The least severe level that is written. Default `info`. */
  readonly level?: LogLevel;
  /** Readable lines instead of JSON. Default: whether standard output is a terminal. */
  readonly pretty?: boolean;
  /** Where lines go. Default: standard output, written synchronously, so that the last line before an exit is there. */
  readonly destination?: DestinationStream;
}

const CENSOR = '[redacted]';

/** Fields that would hold a secret, at the top and one level down. Callers do not pass any: this is the second line of defence. */
const SECRET_FIELDS = [
  'apiKey',
  'api_key',
  'authorization',
  'Authorization',
  'bearerToken',
  'password',
  'secret',
  'token',
  '["x-api-key"]',
  '["X-API-Key"]',
];

/** Keys as the gateway makes them, and bearer credentials, wherever in a line they stand. */
const SECRET_TEXT = /mcp_metrics_[A-Za-z0-9_-]{20,}|(?<=\bBearer )[A-Za-z0-9._~+/=-]{8,}/g;

const nested = (field: string): string => (field.startsWith('[') ? `*${field}` : `*.${field}`);

function toLog(logger: Logger): Log {
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
    child: (fields) => toLog(logger.child(fields)),
  };
}

const require = createRequire(import.meta.url);

/**
 * Formats in this thread: a worker of its own would lose the last lines before a crash. The formatter is loaded where a
 * person reads along: a service starts sooner without it.
 */
function readableLines(destination: DestinationStream): DestinationStream {
  const { prettyFactory } = require('pino-pretty') as typeof PinoPretty;
  const format = prettyFactory({ colorize: process.stdout.isTTY === true, translateTime: 'SYS:HH:MM:ss.l' });
  return { write: (line) => destination.write(format(line)) };
}

export function createLog(options: LogOptions = {}): Log {
  const { level = 'info', pretty: readable = process.stdout.isTTY === true } = options;
  const destination = options.destination ?? pino.destination({ fd: 1, sync: true });
  const stream = readable ? readableLines(destination) : destination;
  return toLog(
    pino(
      {
        level,
        base: null,
        timestamp: stdTimeFunctions.isoTime,
        formatters: { level: (label) => ({ level: label }) },
        serializers: { err: stdSerializers.err, error: stdSerializers.err },
        redact: { paths: [...SECRET_FIELDS, ...SECRET_FIELDS.map(nested)], censor: CENSOR },
        hooks: { streamWrite: (line) => line.replace(SECRET_TEXT, CENSOR) },
      },
      stream,
    ),
  );
}
