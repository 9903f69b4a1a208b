const BY_ENDING: Readonly<Record<string, string>> = {
  md: 'text/markdown',
  markdown: 'text/markdown',
  mdx: 'text/markdown',
  txt: 'text/plain',
  text: 'text/plain',
  html: 'text/html',
  htm: 'text/html',
};

/** Media types of documents. */
export const MEDIA_TYPES = ['text/markdown', 'text/plain', 'text/html'] as const;
/** Media type of a document. */
export type MediaType = (typeof MEDIA_TYPES)[number];

/**
 * Media type by file name; `undefined` for files that cannot be ingested. `README` without ending is text.
 */
export function mediaTypeOf(name: string): MediaType | undefined {
  const file = name.split(/[\\/]/).at(-1) ?? name;
  const ending = /\.([^.]+)$/.exec(file)?.[1]?.toLowerCase();
  if (ending === undefined) return 'text/plain';
  return MEDIA_TYPES.find((type) => type === BY_ENDING[ending]);
}

/** `Text/HTML; charset=utf-8` → `text/html`; `undefined` for types outside `MEDIA_TYPES`. */
export function knownMediaType(text: string): MediaType | undefined {
  const bare = text.split(';')[0]?.trim().toLowerCase();
  return MEDIA_TYPES.find((type) => type === bare);
}
