/**
 * Writes the tables of options in docs/configuration.md from the comments of the options themselves, so that the page
 * cannot say something else; `--check` only looks. Reads the interfaces as prettier lays them out, two spaces a level.
 */
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { format, resolveConfig } from 'prettier';

const PAGE = 'docs/configuration.md';
/** Where each set of options is given, in the order of the page. */
const SECTIONS: readonly [options: string, given: string][] = [
  ['PipelineDefinition', 'definePipeline({ … })'],
  ['ServerOptions', 'server: { … }'],
  ['AuthOptions', 'auth({ … })'],
  ['RateLimitOptions', 'rateLimit({ … })'],
  ['ValidateOptions', 'validate({ … })'],
  ['EnrichOptions', 'enrich({ … })'],
  ['BufferOptions', 'buffer({ … })'],
  ['SqliteOptions', 'sqlite({ … })'],
  ['PrometheusOptions', 'prometheus({ … })'],
  ['OtlpOptions', 'otlp({ … })'],
  ['TotalsOptions', 'totals: { … }'],
  ['DeliveryLimits', 'deliveries: { … }'],
];

interface Option {
  readonly name: string;
  readonly type: string;
  readonly description: string;
}

const sources = globSync('src/**/*.ts').map((file) => readFileSync(file, 'utf8'));

/** The lines between the braces of an exported interface, after those of the one that it extends. */
function bodyOf(name: string): string[] {
  for (const source of sources) {
    const [, parent, body] =
      new RegExp(`^export interface ${name}( extends [^{]+)? \\{\\n([\\s\\S]*?)^\\}`, 'm').exec(source) ?? [];
    if (body === undefined) continue;
    const extended = /(\w+)>*\s*$/.exec(parent ?? '')?.[1];
    return [...(extended === undefined ? [] : bodyOf(extended)), ...body.split('\n')];
  }
  throw new Error(`src has no exported interface ${name}`);
}

/** Options of one level of indentation; those of an object in them follow with its name before theirs. */
function optionsOf(lines: readonly string[], indent = '  ', prefix = ''): Option[] {
  const options: Option[] = [];
  let comment = '';
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at] ?? '';
    if (line.startsWith(`${indent}/**`)) {
      const end = lines.findIndex((each, index) => index >= at && each.endsWith('*/'));
      comment = lines
        .slice(at, end + 1)
        .map((each) =>
          each
            .trim()
            .replace(/^\/?\*+\/?/, '')
            .replace(/\*\/$/, '')
            .trim(),
        )
        .join(' ')
        .trim();
      at = end;
      continue;
    }
    const [, name, type] = new RegExp(`^${indent}readonly (\\w+)\\??: (.*)$`).exec(line) ?? [];
    if (name === undefined || type === undefined) continue;
    const end = lines.findIndex(
      (each, index) =>
        index >= at &&
        each.startsWith(indent) &&
        each.endsWith(';') &&
        (index > at ? each.startsWith(`${indent}}`) : type !== '{'),
    );
    const inner = lines.slice(at + 1, end);
    if (type === '{') options.push(...optionsOf(inner, `${indent}  `, `${prefix}${name}.`));
    else
      options.push({
        name: `${prefix}${name}`,
        type: type.replace(/;$/, '').replace(/ \| undefined$/, ''),
        description: comment,
      });
    at = end;
    comment = '';
  }
  return options;
}

const cell = (text: string): string => text.replaceAll('|', '\\|');

function tables(): string {
  return SECTIONS.map(([options, given]) => {
    const rows = optionsOf(bodyOf(options)).map(
      ({ name, type, description }) => `| \`${name}\` | \`${cell(type)}\` | ${cell(description)} |`,
    );
    return `### \`${given}\`\n\n| option | type | what it sets |\n| --- | --- | --- |\n${rows.join('\n')}\n`;
  }).join('\n');
}

const page = readFileSync(PAGE, 'utf8');
const [head, tail] = [page.split('<!-- options -->')[0] ?? '', page.split('<!-- /options -->')[1] ?? ''];
const written = await format(`${head}<!-- options -->\n\n${tables()}\n<!-- /options -->${tail}`, {
  ...(await resolveConfig(PAGE)),
  parser: 'markdown',
});
if (page === written) {
  console.log(`${PAGE}: says what the options say`);
} else if (process.argv.includes('--check')) {
  console.error(`${PAGE} differs from the comments of the options. Run: npm run docs`);
  process.exitCode = 1;
} else {
  writeFileSync(PAGE, written);
  console.log(`${PAGE}: written`);
}
