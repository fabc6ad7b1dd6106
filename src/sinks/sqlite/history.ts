/** Questions to the history, asked by name and answered by a reader's thread. */
import { InvalidQuery } from './errors.ts';
import { isAboutRows, isQueryName, QUERIES, readParameters } from './query-names.ts';
import type { ReaderMethods } from './reader-methods.ts';
import type { RetentionPolicy } from './retention-policies.ts';
import type { AnswerForm, WrittenAnswer } from './run-query.ts';
import type { WorkerClient } from './worker-client.ts';

export interface History {
  /**
   * @param name one of QUERIES
   * @param parameters as they come from outside: they are read and checked here
   * @returns a `QueryAnswer` as JSON
   * @throws InvalidQuery
   */
  readonly answer: (
    name: string,
    parameters: Readonly<Record<string, unknown>>,
    now: number,
  ) => Promise<Uint8Array<ArrayBuffer>>;
  /** The rows of all pages to the answer's end, a line of JSON each; `limit` is the page's size. */
  readonly lines: (
    name: string,
    parameters: Readonly<Record<string, unknown>>,
    now: number,
  ) => AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined>;
}

const DEFAULT_PAGE = 500;

/** Threads that read. Single rows may have to be looked for among millions: answers from rollups do not wait for those. */
export interface Readers {
  readonly rollups: () => Promise<WorkerClient<ReaderMethods>>;
  readonly rows: () => Promise<WorkerClient<ReaderMethods>>;
}

export function createHistory(readers: Readers, policies: () => readonly RetentionPolicy[]): History {
  const ask = async (
    form: AnswerForm,
    name: string,
    raw: Readonly<Record<string, unknown>>,
    now: number,
  ): Promise<WrittenAnswer> => {
    if (!isQueryName(name)) {
      throw new InvalidQuery(`${name}: no such query; there are ${Object.keys(QUERIES).join(', ')}`);
    }
    const parameters = readParameters(raw, now);
    const reader = await readers[isAboutRows(name) ? 'rows' : 'rollups']();
    return reader.call('query', [name, parameters, { now, policies: policies() }, form]);
  };
  return {
    answer: async (name, raw, now) => (await ask('answer', name, raw, now)).bytes,
    lines: async function* (name, raw, now) {
      const limit = raw['limit'] ?? DEFAULT_PAGE;
      let offset = Number(raw['offset'] ?? 0);
      let page = await ask('lines', name, { ...raw, limit }, now);
      for (;;) {
        yield page.bytes;
        offset += page.rows;
        if (page.rows === 0) return;
        if (page.next !== undefined) page = await ask('lines', name, { ...raw, limit, after: page.next }, now);
        else if (page.total !== undefined && offset < page.total)
          page = await ask('lines', name, { ...raw, limit, offset }, now);
        else return;
      }
    },
  };
}
