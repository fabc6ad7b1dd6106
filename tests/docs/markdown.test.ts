/** What the pages say is there is there: files that they link to, and files that they quote. */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { ROOT } from '../support/root.ts';

const pages = globSync(['*.md', 'docs/**/*.md', '*/README.md', 'clients/*/README.md'], {
  cwd: ROOT,
  exclude: ['node_modules/**', '**/node_modules/**'],
});

const slug = (heading: string): string =>
  heading
    .trim()
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(/\s/g, '-');

const headings = (page: string): string[] =>
  [
    ...readFileSync(join(ROOT, page), 'utf8')
      .replaceAll(/^```[\s\S]*?^```/gm, '')
      .matchAll(/^#+ (.*)$/gm),
  ].map(([, heading = '']) => slug(heading));

t.ok(pages.includes('README.md') && pages.length > 3, 'there are pages');

for (const page of pages) {
  const text = readFileSync(join(ROOT, page), 'utf8');

  t.test(`${page}: every link within the repository leads somewhere`, (t) => {
    const prose = text.replaceAll(/^```[\s\S]*?^```/gm, '').replaceAll(/`[^`\n]*`/g, '');
    for (const [, target = ''] of prose.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const [file = '', anchor] = target.split('#');
      const path = file === '' ? page : join(dirname(page), file);
      t.ok(existsSync(join(ROOT, path)), target);
      if (anchor !== undefined && path.endsWith('.md')) t.ok(headings(path).includes(anchor), target);
    }
    t.pass('all links looked at');
    t.end();
  });

  for (const [, file = '', block = ''] of text.matchAll(/<!-- file: (\S+) -->\s*^```\w+\n([\s\S]*?)^```$/gm)) {
    t.test(`${page} quotes ${file} as it is`, (t) => {
      t.equal(block, readFileSync(join(ROOT, file), 'utf8'));
      t.end();
    });
  }
}

t.test('docs/README.md names every page', (t) => {
  const index = readFileSync(join(ROOT, 'docs/README.md'), 'utf8');
  for (const page of globSync('docs/*.md', { cwd: ROOT })) {
    if (page !== 'docs/README.md') t.ok(index.includes(`](${page.slice('docs/'.length)})`), page);
  }
  const decisions = readFileSync(join(ROOT, 'docs/decisions/README.md'), 'utf8');
  for (const page of globSync('docs/decisions/*.md', { cwd: ROOT })) {
    const name = page.slice('docs/decisions/'.length);
    if (name !== 'README.md') t.ok(decisions.includes(`](${name})`), page);
  }
  t.end();
});

t.test('docs/configuration.md has every environment variable that is read', (t) => {
  const source = readFileSync(join(ROOT, 'src/environment.ts'), 'utf8');
  const variables = [...source.matchAll(/^ {2}([A-Z][A-Z_]+): \{/gm)].map(([, name = '']) => name);
  t.ok(variables.length > 10, 'variables were found');
  const page = readFileSync(join(ROOT, 'docs/configuration.md'), 'utf8');
  for (const name of variables) t.ok(page.includes(`\`${name}\``), name);
  t.end();
});
