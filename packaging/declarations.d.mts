export interface Declaration {
  /** Where it is declared; the public name may be another one. */
  readonly name: string;
  /** Without comments and private members. */
  readonly text: string;
}

export declare class Declarations {
  exportsOf(path: string): Map<string, Declaration>;
  referredToBy(declarations: readonly Declaration[]): Declaration[];
}
