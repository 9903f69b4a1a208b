import { describe, expect, test } from 'vitest';
import { chooseTool } from '../src/execution/tool-choice.js';
import type { Turn } from '../src/query/question.js';
import { cpuMsOf } from './cpu-time.js';
import { startStack } from './direct-gateway.js';

const stack = startStack({ now: () => new Date('2026-11-22T15:04:05Z') });
const ask = async (message: string, ...earlier: string[]) => {
  const messages = earlier.map((content, at): Turn => ({
    role: at % 2 === 0 ? 'user' : 'assistant',
    content,
  }));
  return stack.ask(message, { messages: messages.map(({ role, content }) => ({ role, content })) });
};

describe('calculations in free wording', () => {
  test.each([
    ["what's 17% of 2,340?", '397.8'],
    ['What is 17 percent of 2340', '397.8'],
    ['twelve times (3+4)', '84'],
    ['square root of 144', '12'],
    ['Can you tell me the square root of two hundred and fifty-six, please?', '16'],
    ['How much is 15.5 + 4.5?', '20'],
    ['Calculate 2^10', '1,024'],
    ['2+2', '4'],
    ['what is 7 x 8', '56'],
    ['five squared plus three cubed', '52'],
    ['2 to the power of 16', '65,536'],
    ["what's half of 90", '45'],
    ['a third of 99', '33'],
    ['what is the sum of 4, 5 and 6?', '15'],
    ['average of 10, 20 and 60', '30'],
    ['what percent of 80 is 20?', '25'],
    ['20 is what percent of 80', '25'],
    ['a 20% tip on $85', '17'],
    ['What does $150 with a 20% discount come to?', '120'],
    ['200 plus 10%', '220'],
    ['increase 50 by 10 percent', '55'],
    ['divide 240 among 6 people', '40'],
    ['what is 240 divided by 6?', '40'],
    ['subtract 8 from 20', '12'],
    ['remainder of 17 divided by 5', '2'],
    ['17 mod 5', '2'],
    ['factorial of 6', '720'],
    ['three point five times two', '7'],
    ['1.5 million divided by 3 thousand', '500'],
    ['What is the largest of 3, 17 and 9?', '17'],
    ['Quick one: 19 * 21?', '399'],
    ['I need help with my invoice. What is 21% of 1,250?', '262.5'],
    ['sqrt(16) + max(2, 3)', '7'],
    ['double 21', '42'],
    ['what is -5 * 3', '-15'],
  ])('are understood: %s', async (question, value) => {
    const { content, steps } = await ask(question);
    expect(content.split(' = ').at(-1)).toBe(value);
    expect(steps).toMatchObject([{ tool: 'calculator' }]);
  });

  test.each([
    ['If I split a bill of 186.40 between four of us, what does each pay?', '46.6'],
    ['Four friends share a 93 euro dinner equally. How much does everyone schedule?', '23.25'],
    ['A shirt costs 40 and is reduced by a quarter, what do I pay?', '30'],
    ["My rent of 900 goes up by 4%. What's the new rent?", '936'],
    ['What do I pay for 7 tickets at 12.50 each?', '87.5'],
    ['3 dozen eggs at 0.35 each cost how much?', '12.6'],
    ['Add 12, 30 and 58 together please', '100'],
    ['how much is 2 to the 10th', '1,024'],
    ['what remains if I divide 100 by 7', '2'],
    ["What's 15 percent off 80 bucks?", '68'],
  ])('are understood as a story: %s', async (question, value) => {
    const { content, steps } = await ask(question);
    expect(content.split(' = ').at(-1)).toBe(value);
    expect(steps).toMatchObject([{ tool: 'calculator' }]);
  });

  test.each([
    ['How many minutes are there in 3.5 hours?', '3.5 hours = 210 minutes'],
    ['Convert 72 hours to days', '72 hours = 3 days'],
    ['How many kilometres is 26.2 miles?', '26.2 miles = 42.1648128 kilometers'],
    ["What's 350 fahrenheit in celsius?", '350 °F = 176.666666667 °C'],
    ['I earn 4,200 a month. What is that a year?', '4200 a month = 50,400 a year'],
    ['2 GB in MB', '2 gigabytes = 2,000 megabytes'],
  ])('of units are understood: %s', async (question, answer) => {
    expect((await ask(question)).content).toBe(answer);
  });

  test.each([
    'How do I split a queue into 2 workers with 3 threads?',
    'What is the default timeout of 30 seconds for?',
    'What changed in version 2 of the parser?',
    'How many workers share 1 queue?',
  ])('are not read into questions for documents: %s', async (question) => {
    expect((await ask(question)).steps).toMatchObject([{ service: 'query' }]);
  });

  test('without a value are answered with the reason', async () => {
    expect((await ask('what is 5 divided by 0?')).content).toMatch(
      /can't be worked out.*divisor other than 0/,
    );
  });

  test.each([
    ['and divided by 3?', '10 * 9 = 90', '30'],
    ['now double that', '17% * 2340 = 397.8', '795.6'],
    ['times 2', '1000 * 2 = 2,000', '4,000'],
    ['add 10 to it', '5 + 5 = 10', '20'],
    ['and minus 50', '100 + 1 = 101', '51'],
    ['squared?', '3 * 4 = 12', '144'],
    ['what is 10% of that?', '2 - 52 = -50', '-5'],
    ['and what is the square root of that?', '80 + 1 = 81', '9'],
  ])('continue: %s, after %s', async (question, before, value) => {
    const { content } = await ask(question, 'the question before', before);
    expect(content.split(' = ').at(-1)).toBe(value);
  });
});

describe('dates in free wording', () => {
  test.each([
    ['how many days between March 3 2026 and Christmas 2026?', '297 days'],
    ['How many weeks are there from 1 Jan 2026 until 31 December 2026?', '52 weeks'],
    ['what date is 45 days after 2026-01-31', '2026-03-17'],
    ['What is the date three weeks before July 4th, 2026?', '2026-06-13'],
    ['what weekday was July 20, 1969', 'Sunday'],
    ['On which day of the week does 29 February 2028 fall?', 'Tuesday'],
    ['Was 2026-11-20 a Friday?', 'Friday'],
    ['how long until New Year?', '40 days'],
    ['How old is someone born on 1990-05-12?', '36 years'],
    ['how many months have passed since 2026-01-15?', '10 months'],
    ["what's the date in 10 days?", '2026-12-02'],
    ['What time is it?', '15:04:05'],
    ["what's today's date?", '2026-11-22'],
    ['what day is it today?', 'Sunday'],
    ['what date was it 90 days ago', '2026-08-24'],
    ['Add 2 months to 2026-12-31', '2027-02-28'],
  ])('are understood: %s', async (question, expected) => {
    const { content, steps } = await ask(question);
    expect(content).toContain(expected);
    expect(steps).toMatchObject([{ tool: 'date_time' }]);
  });

  test('that do not exist are answered with the reason', async () => {
    expect((await ask('what weekday is February 30 2026?')).content).toMatch(
      /can't be worked out.*date of the calendar/,
    );
  });

  test('continue from the previous date', async () => {
    const before = [
      'what date is 45 days after 2026-01-31',
      '45 days after 2026-01-31 is Tuesday, 2026-03-17.',
    ];
    expect((await ask('and 10 days after that?', ...before)).content).toContain('2026-03-27');
    expect(
      (await ask('and in weeks?', 'how many days between 2026-01-01 and 2026-02-01?', 'From … 31 days'))
        .content,
    ).toContain('4 weeks');
  });
});

describe('text tools in free wording', () => {
  test.each([
    ["how many words are in: 'the quick brown fox'", '4 words'],
    ['How many characters does "hello world" have?', '11 characters'],
    ['Count the sentences in “One. Two! Three?”', '3 sentences'],
    ['which is longer, "banana" or "fig"?', '“banana” is longer'],
    ['Which is shorter: banana or fig?', '“fig” is shorter'],
    ['What is the most frequent word in "red blue red"?', '“red” (2)'],
    ['word count of: to be or not to be', '6 words'],
    ["what's the longest word in 'a bb ccc'", '“ccc”'],
  ])('are understood: %s', async (question, expected) => {
    const { content, steps } = await ask(question);
    expect(content).toContain(expected);
    expect(steps?.[0]?.tool).toBe('text_statistics');
  });

  test('continue with the previous text', async () => {
    const { content } = await ask(
      'and how many characters?',
      "how many words are in: 'ab cd'",
      'The text has 2 words.',
    );
    expect(content).toContain('5 characters');
  });
});

describe('questions for documents', () => {
  test.each([
    'How long does a session last?',
    'What is the default timeout?',
    'How many times is a call tried again?',
    'What happens after 3 days without a heartbeat?',
    'How do I set max_running to 4?',
    'What is the time limit of a task?',
    'Which is better, Redis or memory?',
    'How many words can a message have?',
    'What does error 429 mean?',
    'Is HTTP/2 supported in version 1.2-3?',
    'How do I divide work among several workers?',
    'what date format is used in 2026 logs?',
    "what does 'lease lost' mean?",
  ])('are not taken by a tool: %s', async (question) => {
    const { steps } = await ask(question);
    expect(steps?.map(({ tool }) => tool)).toEqual([undefined]);
  });
});

describe('wording that tries to be slow', () => {
  const tools = ['calculator', 'date_time', 'text_statistics', 'document_search'].map((name) => ({
    name,
    description: name,
    parameters: {},
  }));

  test.each([
    '('.repeat(499),
    '1 and '.repeat(80),
    'what is what is '.repeat(30),
    `sum of ${'1, '.repeat(150)}`,
    'one hundred and '.repeat(30),
    '((1)'.repeat(120),
    "' a' ".repeat(20_000),
    `how many words are in: ${'a '.repeat(49_000)}`,
    `${'"'.repeat(50_000)} how many words`,
    ` 'a${" 'a".repeat(20_000)} how many words`,
    `${'“'.repeat(50_000)} how many words`,
    'longer '.repeat(10_000),
    `which is longer ${'a or '.repeat(15_000)}`,
  ])('is read within a CPU limit (%#)', (message) => {
    expect(cpuMsOf(() => chooseTool(message, [], tools, new Date()))).toBeLessThan(500);
  });
});
