/** Settings of drizzle-kit: `npx drizzle-kit generate` turns changes of the schema into a migration in drizzle/. */
import { defineConfig } from 'drizzle-kit';

export default defineConfig({
  dialect: 'sqlite',
  schema: './src/sinks/sqlite/schema.ts',
  out: './drizzle',
});
