/** How a person calls the command line from where this gateway runs: in a checkout npm has to find it. */
export const commandLine = (): string =>
  import.meta.filename.endsWith('.ts') ? 'npm run mcp-metrics --' : 'npx mcp-metrics';
