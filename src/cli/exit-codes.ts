/** Exit codes of `mcp-metrics`, after sysexits.h; the table in docs/cli.md. */
export const EXIT = {
  ok: 0,
  /** Something failed that is not the user's doing. */
  failed: 1,
  /** The command line is wrong. */
  usage: 64,
  /** What was asked for does not exist. */
  notFound: 66,
  /** The gateway, a port or the data directory is not available. */
  unavailable: 69,
  /** The configuration or the environment is at fault. */
  config: 78,
} as const;
