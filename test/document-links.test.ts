import { access, readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const LINK = /\]\(([^)\s]+)\)/g;

async function documents(): Promise<readonly string[]> {
  const inDocs = (await readdir(join(root, 'docs'), { recursive: true })).filter((file) =>
    file.endsWith('.md'),
  );
  const atRoot = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'CHANGELOG.md'];
  return [...atRoot, ...inDocs.map((file) => join('docs', file))];
}

/** Anchors of the headings, as GitHub makes them. */
async function anchorsOf(file: string): Promise<ReadonlySet<string>> {
  const headings = (await readFile(join(root, file), 'utf8')).matchAll(/^#+ (.*)$/gm);
  const anchor = (heading = '') =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-');
  return new Set([...headings].map(([, heading]) => anchor(heading)));
}

it('each link between the documents leads to a file, and to a heading of it', async () => {
  const broken: string[] = [];
  let links = 0;
  for (const file of await documents()) {
    const prose = (await readFile(join(root, file), 'utf8')).replaceAll(/^```[^]*?^```/gm, '');
    for (const [, link = ''] of prose.matchAll(LINK)) {
      if (/^\w+:/.test(link)) continue;
      links += 1;
      const [path = '', anchor] = link.split('#');
      const target = path === '' ? file : join(dirname(file), path);
      const exists = await access(join(root, target)).then(
        () => true,
        () => false,
      );
      const isThere = exists && (anchor === undefined || (await anchorsOf(target)).has(anchor));
      if (!isThere) broken.push(`${file}: ${link}`);
    }
  }
  expect(links).toBeGreaterThan(100);
  expect(broken).toEqual([]);
});
