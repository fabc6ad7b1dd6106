/** Exit codes of `mcp-metrics`, after sysexits.h; docs/command-line.md has their table, which a test holds against this one. */
export const EXIT = {
  /** All went well. */
  ok: 0,
  /** It failed, or `doctor` or `health` found a fault; the message says what. */
  failed: 1,
  /** The command line is wrong, or the gateway does not take what was given. */
  usage: 64,
  /** What was asked for does not exist. */
  notFound: 66,
  /** No gateway can be reached, or a port or the data directory cannot be had. */
  unavailable: 69,
  /** The key is not known, or lacks the scope. */
  denied: 77,
  /** The configuration or the environment is at fault. */
  config: 78,
  /** The person at the terminal said no; nothing was changed. */
  cancelled: 130,
} as const;
