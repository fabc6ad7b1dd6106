/**
 * MiB of young generation for a worker thread, which sees every metric pass. V8's default of 48 fills with what is dead
 * already; of a record's events nothing survives the record, so that collecting sooner costs no more.
 */
export const YOUNG_GENERATION_MB = 12;
