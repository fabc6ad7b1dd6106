/** Which names may become labels: those a server has, never those that a caller made up. */
import { member, textMember } from './message.ts';

/** For everything else. The gateway counts its own overflow under the same name. */
export const OTHER = '_other';

const MAX_NAMES = 1000;

const REQUESTS =
  'initialize ping tools/list tools/call resources/list resources/templates/list resources/read resources/subscribe ' +
  'resources/unsubscribe prompts/list prompts/get completion/complete logging/setLevel server/discover ' +
  'subscriptions/listen sampling/createMessage elicitation/create roots/list tasks/get tasks/result tasks/list ' +
  'tasks/cancel tasks/update';

const NOTIFICATIONS =
  'initialized cancelled progress message tools/list_changed prompts/list_changed resources/list_changed ' +
  'resources/updated roots/list_changed elicitation/complete tasks/status subscriptions/acknowledged';

/** Methods of the protocol's revisions up to 2026-07-28. */
const METHODS: ReadonlySet<string> = new Set([
  ...REQUESTS.split(' '),
  ...NOTIFICATIONS.split(' ').map((name) => `notifications/${name}`),
]);

export interface Names {
  /** Reads what a `tools/list` or `prompts/list` answered: from then on the names are known. */
  readonly learn: (result: unknown) => void;
  /** The list has changed: until it is seen again, names are learned from good answers too. */
  readonly forgetList: () => void;
  /**
   * The name as a label.
   * @param succeeded a name that a server answers well is one of its own, as long as no list was seen
   * @param registered the server's own register, where there is one to look into
   */
  readonly label: (name: string, succeeded: boolean, registered: unknown) => string;
}

/** Names of one kind (tools, prompts). `list` is the member of the list's result that holds them. */
export function createNames(list: 'tools' | 'prompts'): Names {
  const known = new Set<string>();
  let listed = false;
  const add = (name: string): void => {
    if (known.size < MAX_NAMES) known.add(name);
  };
  return {
    learn: (result) => {
      const items = member(result, list);
      if (!Array.isArray(items)) return;
      // Names may be on pages that nobody asked for yet.
      if (textMember(result, 'nextCursor') === undefined) listed = true;
      for (const item of items) add(textMember(item, 'name') ?? OTHER);
    },
    forgetList: () => {
      listed = false;
    },
    label: (name, succeeded, registered) => {
      if (known.has(name)) return name;
      if (typeof registered === 'object' && registered !== null && Object.hasOwn(registered, name)) return name;
      if (!succeeded || listed) return OTHER;
      add(name);
      return known.has(name) ? name : OTHER;
    },
  };
}

/** A method as a label: the protocol's own, and further ones that the peer knows. */
export const methodLabel = (method: string, extensions: Names, succeeded: boolean): string =>
  METHODS.has(method) ? method : extensions.label(method, succeeded, undefined);
