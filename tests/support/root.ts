/** The checkout that the tests run in. */
import { join } from 'node:path';

export const ROOT = join(import.meta.dirname, '../..');
