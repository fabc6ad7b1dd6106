/** What Hono's handlers get from the listener. */
import type { HttpBindings } from '@hono/node-server';

/** Node's own request and response; absent where a test calls `app.request` without a socket. */
export interface AppEnv {
  readonly Bindings: Partial<HttpBindings>;
}
