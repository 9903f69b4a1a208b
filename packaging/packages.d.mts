export interface PublishedPackage {
  /** Relative to the repository. */
  readonly folder: string;
  readonly path: string;
  readonly manifest: { readonly name: string };
}

export declare const root: string;
export declare function publishedPackages(): Promise<PublishedPackage[]>;
/** The path of the tarball of each package, by its name. */
export declare function pack(destination: string): Promise<Map<string, string>>;
