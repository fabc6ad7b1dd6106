/** A cache by lists of values, walked value by value: no key text is put together and hashed for each event. */

interface Node<Leaf> {
  children: Map<unknown, Node<Leaf>> | undefined;
  leaf: Leaf | undefined;
}

export interface PathCache<Leaf> {
  /** Begins a new path. */
  readonly begin: () => void;
  /** Goes on by a value; values are told apart as a Map does. */
  readonly step: (value: unknown) => void;
  /** What was kept at the end of the path. */
  readonly get: () => Leaf | undefined;
  /** Keeps something there. */
  readonly set: (leaf: Leaf) => void;
  readonly clear: () => void;
}

/** @param maxNodes beyond so many, all is forgotten: the cache is bounded whatever comes */
export function createPathCache<Leaf>(maxNodes = 200_000): PathCache<Leaf> {
  let root: Node<Leaf> = { children: undefined, leaf: undefined };
  let nodes = 0;
  let at: Node<Leaf> = root;
  /** The rest of a path that is not there yet. */
  let missing: unknown[] = [];

  return {
    begin: () => {
      at = root;
      if (missing.length > 0) missing = [];
    },
    step: (value) => {
      if (missing.length === 0) {
        const child = at.children?.get(value);
        if (child !== undefined) {
          at = child;
          return;
        }
      }
      missing.push(value);
    },
    get: () => (missing.length === 0 ? at.leaf : undefined),
    set: (leaf) => {
      if (nodes + missing.length > maxNodes) return clear();
      for (const value of missing) {
        const child: Node<Leaf> = { children: undefined, leaf: undefined };
        at.children ??= new Map();
        at.children.set(value, child);
        at = child;
        nodes += 1;
      }
      missing = [];
      at.leaf = leaf;
    },
    clear,
  };

  function clear(): void {
    root = { children: undefined, leaf: undefined };
    at = root;
    missing = [];
    nodes = 0;
  }
}
