/** Finds and loads pipeline.config.ts; what is wrong with it becomes one error that says where and what. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { type Pipeline, PipelineError } from './core/pipeline.ts';
import { EnvironmentError } from './environment.ts';

/** The configuration cannot be used. The message is for the person who wrote it. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

const NAMES = ['pipeline.config.ts', 'pipeline.config.mts', 'pipeline.config.js', 'pipeline.config.mjs'];

/** The wiring that ships with the package: the same file, compiled when the package is. */
const SHIPPED = import.meta.filename.endsWith('.ts') ? '../pipeline.config.ts' : './pipeline.config.js';

/** The file named, else the one in the working directory, else the one that ships with the package. */
export function findConfig(path: string | undefined, directory = process.cwd()): string {
  if (path !== undefined) {
    const found = resolve(directory, path);
    if (existsSync(found)) return found;
    throw new ConfigError(`${found}: no such file; name an existing pipeline.config.ts with --config`);
  }
  const here = NAMES.map((name) => resolve(directory, name)).find((candidate) => existsSync(candidate));
  return here ?? fileURLToPath(new URL(SHIPPED, import.meta.url));
}

/**
 * Loads the pipeline that a config file exports as its default.
 * @throws ConfigError naming the file, and the variable, stage or line at fault
 */
export async function loadConfig(path: string): Promise<Pipeline> {
  let loaded: { default?: unknown };
  try {
    loaded = (await import(pathToFileURL(path).href)) as { default?: unknown };
  } catch (error) {
    if (error instanceof EnvironmentError) throw new ConfigError(error.message, { cause: error });
    if (error instanceof PipelineError || error instanceof RangeError || error instanceof TypeError) {
      throw new ConfigError(`${path}: ${error.message}`, { cause: error });
    }
    const reason = error instanceof Error ? error.message : String(error);
    const hint =
      error instanceof SyntaxError && /outside a module|export/.test(reason)
        ? '; the nearest package.json makes it CommonJS: say "type": "module" there, or name the file pipeline.config.mts'
        : '';
    throw new ConfigError(`${path}: cannot be loaded: ${reason}${hint}`, { cause: error });
  }
  const pipeline = loaded.default as Partial<Pipeline> | undefined;
  if (pipeline?.kind !== 'pipeline') {
    throw new ConfigError(
      `${path}: expected "export default definePipeline({ … })"; got ${pipeline === undefined ? 'no default export' : typeof pipeline}`,
    );
  }
  return pipeline as Pipeline;
}
