export interface Declaration {
  /** Where it is declared; the public name may be another one. */
  readonly name: string;
  /** Without comments and private members. */
  readonly text: string;
  /** With the doc comments of its members, and without private members. */
  readonly documented: string;
  /** First paragraph of its doc comment, in one line; empty without one. */
  readonly doc: string;
}

export declare class Declarations {
  exportsOf(path: string): Map<string, Declaration>;
  referredToBy(
    declarations: readonly Declaration[],
    options?: { readonly directly?: boolean },
  ): Declaration[];
}
