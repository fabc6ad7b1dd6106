/** One MCP session: who its client is, and how long each step of the protocol took, each once. */

/** A step from one request of a session to a later one. */
export interface Flow {
  readonly step: 'initialize_to_tools_list' | 'tools_list_to_tools_call' | 'full_protocol_flow';
  readonly seconds: number;
  readonly from: string;
  readonly to: string;
}

export interface Session {
  /** Opaque, for `session_key`; undefined where the transport has no sessions. */
  readonly key: string | undefined;
  readonly beganAt: number;
  clientName: string | undefined;
  clientVersion: string | undefined;
  protocolVersion: string | undefined;
  /** Requests seen so far. */
  requests: number;
  /** Notes a request as it is seen and returns the flows that it completes. */
  readonly note: (method: string, now: number) => readonly Flow[];
}

export function createSession(key: string | undefined, now: number): Session {
  let origin: { readonly method: string; readonly at: number } | undefined;
  let listedAt: number | undefined;
  const done = new Set<string>();

  const flow = (step: Flow['step'], from: string, since: number, to: string, now: number): readonly Flow[] => {
    if (done.has(step)) return [];
    done.add(step);
    return [{ step, seconds: (now - since) / 1000, from, to }];
  };

  const session: Session = {
    key,
    beganAt: now,
    clientName: undefined,
    clientVersion: undefined,
    protocolVersion: undefined,
    requests: 0,
    note: (method, now) => {
      session.requests += 1;
      if (key === undefined) return [];
      // `initialize` opens a session; under 2026-07-28 `server/discover` or whatever comes first does.
      if (origin === undefined || (origin.method !== 'initialize' && method === 'initialize')) {
        origin = { method, at: now };
        if (method === 'tools/list') listedAt = now;
        return [];
      }
      if (method === 'tools/list') {
        // A list that is asked for again, or in pages: what follows is selected from the last one.
        listedAt = now;
        return origin.method === method ? [] : flow('initialize_to_tools_list', origin.method, origin.at, method, now);
      }
      if (method !== 'tools/call' || origin.method === method) return [];
      const selection =
        listedAt === undefined ? [] : flow('tools_list_to_tools_call', 'tools/list', listedAt, method, now);
      return [...selection, ...flow('full_protocol_flow', origin.method, origin.at, method, now)];
    },
  };
  return session;
}

const MAX_SESSIONS = 1000;

/** Sessions that outlive a connection, by the id that the transport gives them; the longest unused go first. */
export function createSessions(): (id: string, make: () => Session) => Session {
  const sessions = new Map<string, Session>();
  return (id, make) => {
    const session = sessions.get(id) ?? make();
    sessions.delete(id);
    sessions.set(id, session);
    if (sessions.size > MAX_SESSIONS) {
      for (const oldest of sessions.keys()) {
        sessions.delete(oldest);
        break;
      }
    }
    return session;
  };
}
