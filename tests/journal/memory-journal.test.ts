import { openMemoryJournal } from '../../src/journal/memory-journal.ts';
import { journalContract } from './contract.ts';

journalContract('memory', { open: (maxBytes) => Promise.resolve(openMemoryJournal({ maxBytes })) });
