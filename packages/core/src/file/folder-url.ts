import { fileURLToPath } from 'node:url';

/**
 * Folder that a `file:` URL names: `file:///folder` is a URL; after `file:` alone, the folder is meant as it is written, relative
 * or absolute. `undefined` for anything else.
 */
export function folderOfUrl(url: string): string | undefined {
  const folder = /^file:(.+)$/is.exec(url)?.[1];
  if (folder === undefined || folder.includes('\0')) return undefined;
  if (!folder.startsWith('//')) return folder;
  try {
    return fileURLToPath(url);
  } catch {
    // A host, or an escape that is none.
    return undefined;
  }
}
