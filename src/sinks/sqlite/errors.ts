/** What database threads throw across to the main one. Apart from what throws it: a reader shall not load migrations and checks. */

/** The database cannot be used as it is; the message says why and what to do. Retrying does not help. */
export class UnusableDatabase extends Error {
  override readonly name = 'UnusableDatabase';
}

/** A parameter that cannot be read; the message names it, and what was expected. */
export class InvalidQuery extends Error {
  override readonly name = 'InvalidQuery';
}
