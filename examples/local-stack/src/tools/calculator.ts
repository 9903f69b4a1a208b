import { OrchestratorError } from '@agent-orchestrator/core';
import { cutText } from '@agent-orchestrator/core/protocol';

/** Maximum length of an expression, characters. */
const MAX_LENGTH = 2_000;
const MAX_DEPTH = 100;

type Token =
  | { readonly kind: 'number'; readonly value: number; readonly at: number }
  | { readonly kind: 'name' | 'symbol' | 'end'; readonly text: string; readonly at: number };

interface MathFunction {
  readonly min: number;
  readonly max: number;
  readonly apply: (...values: number[]) => number;
}

const fixed = (count: number, apply: (...values: number[]) => number): MathFunction => ({
  min: count,
  max: count,
  apply,
});
const many = (apply: (...values: number[]) => number): MathFunction => ({ min: 1, max: 100, apply });
const sum = (...values: number[]) => values.reduce((total, value) => total + value, 0);

/**
 * Functions, angles in radians. `log(x)` is to base 10, `log(x, b)` to base b, `round(x, d)` to d decimals.
 */
const FUNCTIONS: Readonly<Record<string, MathFunction>> = {
  sqrt: fixed(1, Math.sqrt),
  cbrt: fixed(1, Math.cbrt),
  abs: fixed(1, Math.abs),
  floor: fixed(1, Math.floor),
  ceil: fixed(1, Math.ceil),
  round: { min: 1, max: 2, apply: (value = 0, digits = 0) => roundTo(value, digits) },
  exp: fixed(1, Math.exp),
  ln: fixed(1, Math.log),
  log2: fixed(1, Math.log2),
  log: {
    min: 1,
    max: 2,
    apply: (value = 0, base = 10) => (base === 10 ? Math.log10(value) : Math.log(value) / Math.log(base)),
  },
  sin: fixed(1, Math.sin),
  cos: fixed(1, Math.cos),
  tan: fixed(1, Math.tan),
  mod: fixed(2, (a = 0, b = 0) => a % b),
  pow: fixed(2, (a = 0, b = 0) => a ** b),
  factorial: fixed(1, (value = 0) => factorial(value)),
  min: many(Math.min),
  max: many(Math.max),
  sum: many(sum),
  avg: many((...values) => sum(...values) / values.length),
};
const CONSTANTS: Readonly<Record<string, number>> = { pi: Math.PI, e: Math.E, tau: 2 * Math.PI };

/** Precedence of infix operators; `right` ones are right-associative. */
const INFIX: Readonly<Record<string, { readonly power: number; readonly right?: boolean }>> = {
  '+': { power: 10 },
  '-': { power: 10 },
  '*': { power: 20 },
  '/': { power: 20 },
  '%': { power: 20 },
  '^': { power: 40, right: true },
};
/** Between `*` and `^`: `-2^2` is −4, `-2*3` is (−2)·3. */
const SIGN_POWER = 30;

/**
 * Evaluates an expression: `+ - * / % ^`, parentheses, signs, `n!`, functions, constants, `variables`. `a %
 * b` is the remainder, with the sign of a; `a%` without a divisor is a hundredth.
 *
 * @throws {OrchestratorError} `invalid_request` with the position, or if the value is not a finite number.
 */
export function evaluate(expression: string, variables: Readonly<Record<string, number>> = {}): number {
  if (expression.length > MAX_LENGTH) {
    throw calculatorError(`expected at most ${MAX_LENGTH} characters, got ${expression.length}`);
  }
  const value = new ExpressionReader(tokensOf(expression), variables).readAll();
  if (Number.isFinite(value)) return value;
  throw calculatorError(
    `expected a value that is a finite number, got ${value} for "${cutText(expression, 100)}"`,
  );
}

/** Pratt parser that evaluates while it reads. */
class ExpressionReader {
  readonly #tokens: readonly Token[];
  readonly #variables: Readonly<Record<string, number>>;
  #next = 0;
  #depth = 0;

  constructor(tokens: readonly Token[], variables: Readonly<Record<string, number>>) {
    this.#tokens = tokens;
    this.#variables = variables;
  }

  readAll(): number {
    const value = this.#read(0);
    if (this.#peek().kind !== 'end') throw unexpected('an operator or the end', this.#peek());
    return value;
  }

  #read(power: number): number {
    this.#depth += 1;
    if (this.#depth > MAX_DEPTH) throw calculatorError(`expected at most ${MAX_DEPTH} levels, got more`);
    let left = this.#readOperand();
    for (;;) {
      const token = this.#peek();
      if (token.kind !== 'symbol') break;
      if (token.text === '!' || (token.text === '%' && !this.#beginsOperand(this.#next + 1))) {
        this.#next += 1;
        left = token.text === '!' ? factorial(left) : left / 100;
        continue;
      }
      const operator = Object.hasOwn(INFIX, token.text) ? INFIX[token.text] : undefined;
      if (operator === undefined || operator.power <= power) break;
      this.#next += 1;
      const right = this.#read(operator.right === true ? operator.power - 1 : operator.power);
      left = apply(token.text, left, right, token.at);
    }
    this.#depth -= 1;
    return left;
  }

  #readOperand(): number {
    const token = this.#take();
    if (token.kind === 'number') return token.value;
    if (token.kind === 'name') return this.#readNamed(token.text, token);
    if (token.text === '-') return -this.#read(SIGN_POWER);
    if (token.text === '+') return this.#read(SIGN_POWER);
    if (token.text !== '(') throw unexpected('a number', token);
    const value = this.#read(0);
    this.#expect(')');
    return value;
  }

  #readNamed(name: string, token: Token): number {
    if (this.#isSymbol('(') && Object.hasOwn(FUNCTIONS, name)) return this.#readCall(name, token);
    if (Object.hasOwn(this.#variables, name)) return this.#variables[name] ?? Number.NaN;
    const constant = Object.hasOwn(CONSTANTS, name) ? CONSTANTS[name] : undefined;
    if (constant !== undefined) return constant;
    const known = [
      ...Object.keys(this.#variables),
      ...Object.keys(CONSTANTS),
      ...Object.keys(FUNCTIONS),
    ].join(', ');
    throw unexpected(`one of ${known}`, token);
  }

  #readCall(name: string, token: Token): number {
    this.#expect('(');
    const values = [this.#read(0)];
    while (this.#isSymbol(',')) {
      this.#next += 1;
      values.push(this.#read(0));
    }
    this.#expect(')');
    const { min, max, apply } = FUNCTIONS[name] ?? fixed(0, () => Number.NaN);
    if (values.length < min || values.length > max) {
      const expected = min === max ? `${min}` : `${min} to ${max}`;
      throw calculatorError(
        `"${name}" at position ${token.at + 1}: expected ${expected} values, got ${values.length}`,
      );
    }
    return apply(...values);
  }

  #beginsOperand(at: number): boolean {
    const token = this.#tokens[at];
    return (
      token !== undefined &&
      (token.kind === 'number' || token.kind === 'name' || (token.kind === 'symbol' && token.text === '('))
    );
  }

  #isSymbol(text: string): boolean {
    const token = this.#peek();
    return token.kind === 'symbol' && token.text === text;
  }

  #expect(text: string): void {
    const token = this.#take();
    if (token.kind !== 'symbol' || token.text !== text) throw unexpected(`"${text}"`, token);
  }

  #peek(): Token {
    return this.#tokens[this.#next] ?? { kind: 'end', text: '', at: 0 };
  }

  #take(): Token {
    const token = this.#peek();
    this.#next += 1;
    return token;
  }
}

function apply(operator: string, left: number, right: number, at: number): number {
  if ((operator === '/' || operator === '%') && right === 0) {
    throw calculatorError(`expected a divisor other than 0 behind position ${at + 1}, got 0`);
  }
  switch (operator) {
    case '+':
      return left + right;
    case '-':
      return left - right;
    case '*':
      return left * right;
    case '/':
      return left / right;
    case '%':
      return left % right;
    default:
      return left ** right;
  }
}

function factorial(value: number): number {
  if (!Number.isInteger(value) || value < 0 || value > 170) {
    throw calculatorError(`factorial: expected a whole number from 0 to 170, got ${value}`);
  }
  let product = 1;
  for (let factor = 2; factor <= value; factor += 1) product *= factor;
  return product;
}

function roundTo(value: number, digits: number): number {
  if (!Number.isInteger(digits) || Math.abs(digits) > 15) {
    throw calculatorError(`round: expected -15 to 15 whole decimals, got ${digits}`);
  }
  return digits >= 0 ? Number(value.toFixed(digits)) : Math.round(value * 10 ** digits) / 10 ** digits;
}

const SAME_AS: Readonly<Record<string, string>> = {
  '×': '*',
  '·': '*',
  '÷': '/',
  '−': '-',
  '–': '-',
  '**': '^',
};
const TOKEN =
  /\s*(?:(\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)|([A-Za-z_]\w*)|(\*\*|[-+*/%^(),!×·÷−–]))/y;

function tokensOf(expression: string): Token[] {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  const end = expression.trimEnd().length;
  while (TOKEN.lastIndex < end) {
    const from = TOKEN.lastIndex;
    const match = TOKEN.exec(expression);
    if (match === null) {
      const at = from + (/^\s*/.exec(expression.slice(from))?.[0].length ?? 0);
      throw calculatorError(
        `expected a number, a name or an operator at position ${at + 1}, got "${expression[at]}"`,
      );
    }
    const [whole, number, name, symbol = ''] = match;
    const at = from + whole.length - whole.trimStart().length;
    if (number !== undefined) tokens.push({ kind: 'number', value: Number(number), at });
    else if (name !== undefined) tokens.push({ kind: 'name', text: name, at });
    else tokens.push({ kind: 'symbol', text: SAME_AS[symbol] ?? symbol, at });
  }
  tokens.push({ kind: 'end', text: '', at: end });
  return tokens;
}

function unexpected(expected: string, token: Token): OrchestratorError {
  const got = token.kind === 'end' ? 'the end' : `"${token.kind === 'number' ? token.value : token.text}"`;
  return calculatorError(`expected ${expected} at position ${token.at + 1}, got ${got}`);
}

function calculatorError(message: string): OrchestratorError {
  return new OrchestratorError('invalid_request', `calculator: ${message}`);
}

/** A number for readers: twelve significant digits, so that 0.1 + 0.2 is 0.3. */
export function formatNumber(value: number): string {
  const rounded = Number(value.toPrecision(12));
  return Math.abs(rounded) >= 1e15
    ? String(rounded)
    : rounded.toLocaleString('en-US', { maximumFractionDigits: 10 });
}
