/**
 * The insert of one event's row. Binding costs as much as the insert itself, and a null more than a number: there is a
 * statement for each combination of columns that are there, made when it is first needed.
 */
import type Database from 'better-sqlite3';
import { COLUMNS } from './columns.ts';
import type { EncodedEvent } from './encode-event.ts';
import { METRIC_TYPES, type MetricEvent } from '../../core/metric.ts';

/** Of every event. */
const ALWAYS = ['timestamp', 'attribute_set_id', 'resource_id', 'shape_id', 'received_after', 'value', 'request_id'];
/** Left out where they are null; few enough that all combinations can be kept. */
const OPTIONAL = ['duration_ms', 'client_id', 'emitter_request', 'user_hash', 'text_1', 'fields'];

type Value = number | string | Buffer | null;

export interface EventSource {
  readonly resourceId: number;
  readonly receivedAt: number;
  /** 16 bytes for the gateway's own form of an id, else the text. */
  readonly requestId: Buffer | string;
}

export function openRowInsert(
  db: Database.Database,
): (event: MetricEvent, encoded: EncodedEvent, source: EventSource) => void {
  /** By type, then by a bit for each optional column that is there. */
  const statements = METRIC_TYPES.map((): (Database.Statement | undefined)[] => []);
  const numberNames = METRIC_TYPES.map((type) => COLUMNS[type].numbers.map((_, at) => `number_${at + 1}`));

  function prepare(type: number, present: number): Database.Statement {
    const optional = OPTIONAL.filter((_, bit) => (present & (1 << bit)) !== 0);
    const names = [...ALWAYS, ...numberNames[type - 1]!, ...optional];
    const statement = db.prepare(
      `INSERT INTO events (type, ${names.join(', ')}) VALUES (${type}, ${names.map(() => '?').join(', ')})`,
    );
    statements[type - 1]![present] = statement;
    return statement;
  }

  return ({ timestamp, value, durationMs }, encoded, { resourceId, receivedAt, requestId }) => {
    const { type, attributeSet, client, shapeId, numbers, emitterRequest, userHash, text1, fields } = encoded;
    const values: Value[] = [timestamp, attributeSet.id, resourceId, shapeId, receivedAt - timestamp, value, requestId];
    const numberCount = numberNames[type - 1]!.length;
    for (let at = 0; at < numberCount; at += 1) values.push(numbers[at]!);
    // In the order of OPTIONAL.
    let present = 0;
    if (durationMs !== undefined) {
      values.push(durationMs);
      present |= 1;
    }
    if (client !== undefined) {
      values.push(client.id);
      present |= 2;
    }
    if (emitterRequest !== null) {
      values.push(emitterRequest);
      present |= 4;
    }
    if (userHash !== null) {
      values.push(userHash);
      present |= 8;
    }
    if (text1 !== null) {
      values.push(text1);
      present |= 16;
    }
    if (fields !== null) {
      values.push(fields);
      present |= 32;
    }
    (statements[type - 1]![present] ?? prepare(type, present)).run(...values);
  };
}
