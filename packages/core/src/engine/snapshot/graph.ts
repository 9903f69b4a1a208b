/**
 * A graph of objects as JSON. A value that is not JSON itself is a pair: its kind, and what describes it. An object that several
 * others refer to is a node, with a number; every other one stands where it is used.
 */
export type Encoded =
  | string
  | number
  | boolean
  | null
  | readonly [kind: number, body: unknown]
  | readonly [kind: typeof REFERENCE, node: number, kindOfNode: number];

/** A node: its number, its kind and what describes it. */
export type NodeRow = readonly [node: number, kind: number, body: unknown];

/** JSON without anything else in it: taken as it is. */
export const PURE = 0;
export const REFERENCE = 1;
export const UNDEFINED = 2;
/** A number that JSON has not, as text. */
export const NUMBER = 3;
export const OBJECT = 4;
export const LIST = 5;
/** Keys and values in turn. */
export const MAP = 6;
export const SET = 7;
/** Objects of the class at `kind - CLASSES`: the fields that differ from those of a blank one. */
export const CLASSES = 8;

/** Number of the node that everything else can be reached from. */
export const ROOT = 0;

/** A class whose objects may be in a graph. Its fields are not `#private`; functions are no state. */
export interface GraphClass {
  readonly type: abstract new (...args: never[]) => object;
  /**
   * Makes an object to be filled. Absent where the constructor needs what is no state, such as a function: such an object
   * is filled where the constructor of its owner has put it.
   */
  readonly blank?: () => object;
  /** Fields with JSON that is never changed, and of which no part is anywhere else. */
  readonly json?: readonly string[];
  /** Fields that are computed again when they are needed. */
  readonly caches?: readonly string[];
}

/** A class by the name that a snapshot has for it. */
export type GraphClasses = Readonly<Record<string, GraphClass>>;
