import { OrchestratorError } from '@agent-orchestrator/core';
import { textOfJson } from '../text/json-text.js';
import { evaluate } from '../tools/calculator.js';
import { digitsForWords } from './number-words.js';
import type { ToolRequest, Wording } from './tool-request.js';

const NESTED = String.raw`\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)`;
/** A number, a parenthesis, or a function call, after the rules below. */
const OPERAND = String.raw`(?:-?\d+(?:\.\d+)?%?|(?:[a-z]+2?)?${NESTED})`;
const X = `(${OPERAND})`;
const AND = String.raw`(?:\s*,\s*(?:and|or)\s+|\s*,\s*|\s+(?:and|to|or)\s+)`;
const LIST = `(${OPERAND}(?:${AND}${OPERAND})+)`;
const P = String.raw`(-?\d+(?:\.\d+)?)\s*(?:%|percent|per cent|pct)`;

const listed = (name: string) => (_match: string, list: string) =>
  `${name}(${list.split(new RegExp(AND)).join(',')})`;

/** Wordings of calculations and their expressions; applied in order until nothing changes. */
const RULES: readonly (readonly [RegExp, string | ((match: string, ...parts: string[]) => string)])[] = [
  rule(`(?:cube|cubic|third) root of ${X}`, 'cbrt($1)'),
  rule(`(?:square root|sqrt|root) of ${X}`, 'sqrt($1)'),
  rule(`absolute value of ${X}`, 'abs($1)'),
  rule(`factorial of ${X}|${X} factorial`, (_match, a, b) => `factorial(${a ?? b})`),
  rule(`${X} squared|square of ${X}`, (_match, a, b) => `((${a ?? b})^2)`),
  rule(`${X} cubed|cube of ${X}`, (_match, a, b) => `((${a ?? b})^3)`),
  rule(
    `${X}\\s+(?:raised )?to the (?:power(?: of)?\\s+${X}|${X}(?:st|nd|rd|th)(?: power)?)`,
    (_m, a, b, c) => `(${a}^${b ?? c})`,
  ),
  rule(`what (?:percent|percentage|%) (?:of )?${X} is ${X}`, '(($2)/($1)*100)'),
  rule(
    `${X} is what (?:percent|percentage|%) of ${X}|${X} as an? (?:percent|percentage|%) of ${X}`,
    (_m, a, b, c, d) => `((${a ?? c})/(${b ?? d})*100)`,
  ),
  rule(
    `(?:increase|raise) ${X} by ${P}|${X} (?:increased by|plus|\\+) ${P}`,
    (_m, a, b, c, d) => `(${a ?? c}*(1+${b ?? d}/100))`,
  ),
  rule(
    `(?:decrease|reduce|lower) ${X} by ${P}|${X} (?:decreased by|reduced by|minus|less|-) ${P}`,
    (_m, a, b, c, d) => `(${a ?? c}*(1-${b ?? d}/100))`,
  ),
  rule(`add ${P} to ${X}`, '($2*(1+$1/100))'),
  rule(
    `(?:take )?${P} (?:discount on|off)(?: of)? ${X}|${X} with (?:a )?${P} (?:discount|off)`,
    (_m, a, b, c, d) => `(${b ?? c}*(1-${a ?? d}/100))`,
  ),
  rule(`${P} (?:tip |tax |vat |interest )?(?:of|on|from) ${X}`, '($1%*$2)'),
  rule(`(?:a |one )?half (?:of )?${X}|halve ${X}`, (_m, a, b) => `(${a ?? b}/2)`),
  rule(`(?:a |one |1 )third of ${X}`, '($1/3)'),
  rule(`(?:two|2) thirds of ${X}`, '($1*2/3)'),
  rule(`(?:a |one |1 )(?:quarter|fourth) of ${X}`, '($1/4)'),
  rule(`(?:three|3) quarters of ${X}`, '($1*3/4)'),
  rule(`(?:double|twice) ${X}|${X} doubled`, (_m, a, b) => `(2*${a ?? b})`),
  rule(`(?:triple|thrice) ${X}|${X} tripled`, (_m, a, b) => `(3*${a ?? b})`),
  rule(`(?:sum|total) of ${LIST}`, listed('sum')),
  rule(`(?:average|mean) (?:of|between) ${LIST}`, listed('avg')),
  rule(
    `(?:largest|biggest|greatest|highest|maximum|max|larger|bigger|greater) (?:of|among|between) ${LIST}`,
    listed('max'),
  ),
  rule(`(?:smallest|lowest|minimum|min|smaller) (?:of|among|between) ${LIST}`, listed('min')),
  rule(
    `product of ${X} and ${X}|multiply ${X} (?:by|with|and) ${X}`,
    (_m, a, b, c, d) => `(${a ?? c}*${b ?? d})`,
  ),
  rule(`difference (?:between|of) ${X} and ${X}`, '($1-$2)'),
  rule(`is ${X} (?:an? )?(?:multiple of|divisible by|evenly divisible by) ${X}`, 'mod($1,$2)'),
  rule(
    `(?:what )?(?:remains|is left(?: over)?|remainder)(?: over)? (?:when|if|after) (?:i |you |we )?(?:divid(?:e|ing)|split(?:ting)?) ${X} (?:by|into) ${X}`,
    'mod($1,$2)',
  ),
  rule(`remainder (?:of|when|if) ${X} (?:is )?(?:divided )?by ${X}`, 'mod($1,$2)'),
  rule(`(?:divide|split|share) ${X} (?:equally )?(?:by|among|between|into|in|over) ${X}`, '($1/$2)'),
  rule(`${X} (?:split|shared) (?:equally )?(?:among|between|into|by|in) ${X}`, '($1/$2)'),
  rule(`(?:subtract|take) ${X} (?:away )?from ${X}`, '($2-$1)'),
  rule(`add ${X} (?:to|and) ${X}`, '($1+$2)'),
  rule(
    `(?:add|sum)(?: up)? ${LIST}(?: together| up)?|${LIST} (?:together|in total|altogether)`,
    (_m, a, b) => `sum(${(a ?? b ?? '').split(new RegExp(AND)).join(',')})`,
  ),
  rule(`${X} (?:modulo|mod) ${X}`, 'mod($1,$2)'),
];

/** Calculations in a story, with other words between the numbers. */
const STORIES: readonly (readonly [RegExp, string])[] = [
  story(
    `(?:split|share|divide|distribute)[^\\d%]* #(?!\\s*%)[^\\d%]* (?:between|among|amongst|by|into|over|with)[^\\d%]* #`,
    '$1/$2',
  ),
  story(`#(?!\\s*%) [^\\d%]*(?:split|share|divide)[^\\d%]* #(?!\\s*%)[^\\d%]*`, '$2/$1'),
  story(
    `#(?!\\s*%) [^\\d%]*(?:at|for|cost(?:s|ing)?|priced at) # [^\\d%]*?(?:each|apiece|a piece|per [a-z]+|every)\\b`,
    '$1*$2',
  ),
  story(
    `#(?!\\s*%) [^\\d%]*(?:each|every(?: one)?|per [a-z]+) (?:cost|costs|weigh|weighs|take|takes|is) #(?!\\s*%)`,
    '$1*$2',
  ),
  story(
    `# [^\\d%]*(?:reduced|discounted|cut|lowered|decreased|marked down|less|off)[^\\d%]* ${P}`,
    '$1*(1-$2/100)',
  ),
  story(`# [^\\d%]*(?:raised|increased|up|plus|tip|tax|vat|interest)[^\\d%]* ${P}`, '$1*(1+$2/100)'),
  story(`${P} (?:discount|off|reduction)[^\\d%]* #(?!\\s*%)`, '$2*(1-$1/100)'),
  story(`${P} (?:tip|tax|vat|interest|raise|increase)[^\\d%]* #(?!\\s*%)`, '$2*$1/100'),
];
const FRACTIONS: readonly (readonly [RegExp, string])[] = [
  [/\b(?:a|one|1) half\b|\bhalf\b/g, '50%'],
  [/\b(?:a|one|1) quarter\b/g, '25%'],
  [/\b(?:three|3) quarters\b/g, '75%'],
  [/\b(?:a|one|1) (?:fifth)\b/g, '20%'],
  [/\b(?:a|one|1) (?:tenth)\b/g, '10%'],
];

/** Operators in words, between two operands. */
const OPERATORS: readonly (readonly [RegExp, string])[] = [
  [/\b(?:multiplied by|times)\b/g, '*'],
  [/\b(?:divided by|over)\b/g, '/'],
  [/(?<=[\d)])\s*x\s*(?=[\d(])/g, '*'],
  [/\b(?:plus|added to)\b/g, '+'],
  [/\b(?:minus|less)\b/g, '-'],
  [/\bpercent\b|\bper cent\b/g, '%'],
];
const ASKED =
  /^.*\b(?:what(?:'s| is| are| would be| will be| does)|how much (?:is|are|would be|does)|calculate|compute|evaluate|work out|solve|figure out|give me|tell me|find)\b/;
const FILLERS =
  /\b(?:please|exactly|equals?|the|an?|is|are|result of|value of|result|now|then|come to|make|makes|me|people|persons|friends|ways|parts|each|dollars?|euros?|pounds?|bucks|usd|eur|gbp|thanks|thank you|approximately|about|roughly|again)\b|[$€£?=]/g;
const ASKS_FOR_NUMBER =
  /\b(?:what|how (?:much|many)|calculate|compute|work out|figure out|tell me|total|each)\b/i;
const WHY = /\s+(?:for (?:my|our|the|an?)|because|so that)\b.*$/;
const ITS_RESULT =
  /\b(?:that|it|this|the (?:last |previous )?(?:result|answer|number|value|total)|that (?:number|result|value))\b/g;
const GOES_ON =
  /^(?:(?:and|now|then|ok|okay|so|next|also|but|what about|how about|what if|can you|could you|please)\b[\s,]*)+/;
const BEGINS_WITH_OPERATOR = /^(?:[*/^%]|[+-]\s*(?=[\d(]))/;
const ONLY_MATHEMATICS =
  /^(?:[\d\s.+\-*/%^(),!]|sqrt|cbrt|abs|round|floor|ceil|exp|ln|log2|log|sin|cos|tan|mod|pow|factorial|min|max|sum|avg|pi)+$/;
const IS_A_CALCULATION = /[\d)%!]\s*[-+*/^%]\s*[\d(a-z-]|[a-z]\(|!/;

/**
 * Reads questions with a numeric answer: `what's 17% of 2,340?`, `twelve times (3+4)`, `and divided by 3?`
 */
export function readArithmetic({ message, answerBefore }: Wording): ToolRequest | undefined {
  const previous = answerBefore === undefined ? undefined : numberIn(answerBefore);
  for (const sentence of [message, ...message.split(/[.:;!?](?:\s+|$)/).toReversed()]) {
    const expression = expressionIn(sentence, previous);
    if (expression !== undefined) return calculation(expression);
  }
  const told = expressionInStory(message);
  return told === undefined ? undefined : calculation(told);
}

function calculation(expression: string): ToolRequest {
  return {
    tool: 'calculator',
    calls: [{ expression }],
    say: ([output]) => `${textOfJson(output?.['expression'])} = ${textOfJson(output?.['text'])}`,
  };
}

/** Calculation in a story: `if I split 186.40 between four of us, what does each pay?` */
function expressionInStory(message: string): string | undefined {
  if (!ASKS_FOR_NUMBER.test(message) || /\d{4}-\d{1,2}-\d{1,2}/.test(message)) return undefined;
  let text = withoutThousands(digitsForWords(message.toLowerCase().replaceAll('’', "'"))).replaceAll(
    /[$€£]/g,
    '',
  );
  for (const [pattern, by] of FRACTIONS) text = text.replaceAll(pattern, by);
  const numbers = text.match(/\d+(?:\.\d+)?/g)?.length;
  if (numbers !== 2) return undefined;
  for (const [pattern, by] of STORIES) {
    const match = pattern.exec(text);
    if (match !== null) return by.replaceAll(/\$(\d)/g, (_all, group: string) => match[Number(group)] ?? '');
  }
  return undefined;
}

/** Calculation of a sentence that contains nothing else. */
function expressionIn(sentence: string, previous: string | undefined): string | undefined {
  if (/\d{4}-\d{1,2}-\d{1,2}/.test(sentence)) return undefined;
  const plain = withoutThousands(digitsForWords(sentence.toLowerCase().replaceAll('’', "'")));
  const candidates = [plain, plain.replace(ASKED, '')].map((text) => text.replace(WHY, ''));
  for (const text of candidates) {
    const asked = previous === undefined ? text : goingOn(text, previous);
    const expression = translated(asked);
    if (expression !== undefined) return expression;
  }
  return undefined;
}

function translated(text: string): string | undefined {
  let expression = text
    .replaceAll(/[$€£?]/g, '')
    .replaceAll(/\s+/g, ' ')
    .trim();
  for (let round = 0; round < 5; round += 1) {
    const before = expression;
    for (const [pattern, by] of RULES) expression = expression.replaceAll(pattern, by as string);
    if (expression === before) break;
  }
  for (const [pattern, by] of OPERATORS) expression = expression.replaceAll(pattern, by);
  expression = expression.replaceAll(FILLERS, ' ').replaceAll(/\s+/g, ' ').trim().replace(/[.,]$/, '');
  if (!ONLY_MATHEMATICS.test(expression) || !IS_A_CALCULATION.test(expression)) return undefined;
  return canBeRead(expression) ? withoutOuterParentheses(expression) : undefined;
}

/** Inserts the previous result at a reference to it, or before a leading operator. */
function goingOn(text: string, previous: string): string {
  const rest = text.trim().replace(GOES_ON, '');
  const named = rest.replaceAll(ITS_RESULT, previous);
  if (named !== rest) return named;
  let asOperator = rest.replace(/^(?:add|plus)\s+(?=[\d(])(?!.*\bto\b)/, '+ ');
  asOperator = asOperator.replace(/^(?:subtract|minus|less|take away)\s+(?=[\d(])(?!.*\bfrom\b)/, '- ');
  asOperator = asOperator.replace(/^(?:multipl(?:y|ied) by|times)\s+(?=[\d(])/, '* ');
  asOperator = asOperator.replace(/^(?:divided? by|over)\s+(?=[\d(])/, '/ ');
  asOperator = asOperator.replace(/^(?:to the power of|raised to(?: the power of)?)\s+(?=[\d(])/, '^ ');
  if (BEGINS_WITH_OPERATOR.test(asOperator)) return `${previous} ${asOperator}`;
  const postfix = /^(squared|cubed|doubled|tripled|factorial)\W*$/.exec(rest)?.[1];
  if (postfix !== undefined) return `${previous} ${postfix}`;
  const prefix = /^(double|triple|half|halve|square root)(?: of)?\W*$/.exec(rest)?.[1];
  if (prefix !== undefined) return `${prefix} ${prefix === 'square root' ? 'of ' : ''}${previous}`;
  return text;
}

/** Number of a tool's answer: after `=`, else the first one. */
function numberIn(answer: string): string | undefined {
  const number = /-?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?/i;
  const found = (/=\s*(\S+)\s*$/m.exec(answer)?.[1] ?? number.exec(answer)?.[0])?.replaceAll(',', '');
  if (found === undefined || !Number.isFinite(Number(found))) return undefined;
  return found.startsWith('-') ? `(${found})` : found;
}

/** Whether the calculator can parse it. A missing value, as of 1/0, is reported by the calculator. */
function canBeRead(expression: string): boolean {
  try {
    evaluate(expression);
    return true;
  } catch (error) {
    return error instanceof OrchestratorError && /divisor|finite|factorial/.test(error.message);
  }
}

function withoutThousands(text: string): string {
  if (/[a-z]\(/.test(text)) return text;
  return text.replaceAll(/\b\d{1,3}(?:,\d{3})+(?![\d,])/g, (number) => number.replaceAll(',', ''));
}

/** Without parentheses around the whole expression. */
function withoutOuterParentheses(expression: string): string {
  if (!expression.startsWith('(') || !expression.endsWith(')')) return expression;
  let depth = 0;
  for (let at = 0; at < expression.length - 1; at += 1) {
    if (expression[at] === '(') depth += 1;
    if (expression[at] === ')') depth -= 1;
    if (depth === 0) return expression;
  }
  return expression.slice(1, -1);
}

function story(pattern: string, by: string): readonly [RegExp, string] {
  return [new RegExp(pattern.replaceAll('#', String.raw`(\d+(?:\.\d+)?)`), 'i'), by];
}

function rule(
  pattern: string,
  by: string | ((match: string, ...parts: string[]) => string),
): readonly [RegExp, string | ((match: string, ...parts: string[]) => string)] {
  return [new RegExp(`(?<![\\w.])(?:${pattern})(?![\\w.]*\\w)`, 'g'), by];
}
