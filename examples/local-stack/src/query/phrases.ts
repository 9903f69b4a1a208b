/** A longer one has other words between, which count. */
const LONGEST_PHRASE = 3;

/** What people say in several words, and the word that documents have for it. */
const PHRASES: readonly (readonly [RegExp, string])[] = Object.entries({
  'gi?a?ve[ns]? up|giving up|call(?:ed)? off|bail out': 'abort cancel',
  'leave out|left out|get rid of|throw away|thrown? out|take out|wipe out': 'remove discard clear exclude',
  'turn(?:ed|ing|s)? (?:\\w+ ){0,4}off|switch(?:ed|ing)? (?:\\w+ ){0,4}off|opt out': 'disable',
  'turn(?:ed|ing|s)? (?:\\w+ ){0,4}on|switch(?:ed|ing)? (?:\\w+ ){0,4}on|opt in': 'enable',
  'log(?:ged|ging)? (?:\\w+ ){0,3}out|sign(?:ed)? (?:\\w+ ){0,3}out': 'logout destroy session',
  'log(?:ged|ging)? (?:\\w+ ){0,3}in\\b|sign(?:ed)? in': 'login authenticate',
  "out of the box|if i don't say|unless i say|when i don't|without saying|by itself|on its own":
    'default automatic',
  'by hand|myself|on my own': 'manual',
  'upper (?:and|or) lower case|capital letters?|(?:big|small) letters': 'case insensitive nocase',
  'at once|right away|straight away': 'immediately',
  'at (?:the same time|a time|once)|side by side|in one go': 'concurrent parallel simultaneous',
  'one (?:after|by) (?:another|one|the other)|in (?:a row|turn)': 'sequential serial order',
  'over and over|again and again': 'repeat retry',
  'goes? (?:down|away)|went (?:down|away)|is down|not reachable|break(?:s|ing)? down':
    'unavailable fail disconnect',
  'shut(?:ting)? down|wind down': 'close stop shutdown',
  'too old|no longer valid|run(?:s|ning)? out|ran out|time is over': 'expire expired ttl',
  'in place of|rather than': 'instead',
  "under way|not (?:yet )?(?:done|finished|begun|started)|hasn't (?:begun|started)|haven't (?:begun|started)":
    'pending',
  'how (?:many times|often)': 'count maximum times',
  'take(?:s|n)? too long|too slow|takes? forever': 'timeout slow',
  'find out|figure out': 'detect determine get',
  'set(?:ting)? up': 'configure setup',
  'keep (?:\\w+ ){1,4}from|stop (?:\\w+ ){1,4}from|hold back': 'prevent avoid ignore',
  'in front of|sits? in front': 'proxy behind',
  'start(?:s|ed)? (?:over|again|anew)': 'restart',
  'up to date': 'latest update',
  'round trip': 'pipeline batch',
  'end(?:s|ed)? (?:cleanly|properly|gracefully|nicely)|clean(?:ly)? (?:exit|shutdown)': 'graceful termination shutdown',
  'the rest|all (?:the )?others?|everyone else': 'others all remaining',
  '(?:more than|at least) once|several times|many times': 'multiple repeat',
  '(?:just|only|exactly) once|one time|a single time': 'once single first',
  'in the background': 'background daemon detached',
  'on top of each other|pile up|overlap(?:s|ping)?': 'overlap concurrent',
  'when (?:it|the \\w+) starts|at (?:the )?start': 'startup initial begin',
  'before (?:it|the \\w+) (?:ends|stops|exits)|at the end': 'end exit finish',
  'put together|bring together|glue together': 'combine merge concatenate',
  'take apart|break up': 'split parse',
  'make sure|see to it': 'ensure guarantee check',
  'look(?:s|ed)? like': 'format pattern',
  'come from|came from': 'origin source',
  'by accident|by mistake': 'accidental prevent protect',
  'good idea|best way|should i': 'recommend best practice',
  'in (?:a|the) row|at a stretch': 'consecutive',
  'as fast as|how fast': 'performance benchmark',
  'too big|too large|too much|too long': 'limit maximum exceed',
  'too many': 'limit maximum exceed',
  'too early': 'before premature',
  'does(?: it)? cost|how expensive': 'overhead cost performance',
  'stand for|stands for': 'mean',
  'get(?:s|ting)? (?:told|notified)|be told|let me know|find out when': 'notify event listen callback',
  'make up|come up with': 'generate create',
  'stay(?:s|ed)? the same|does not change': 'constant stable immutable',
  'mixed? together|mixed up': 'interleaved combined',
  'line breaks?|several lines|multiple lines|more than one line': 'multiline newline',
  'own (?:format|style|look)': 'custom format',
  'on (?:a )?mac|on macos': 'macos darwin',
  'kick(?:ed|s)? off': 'start trigger',
  'carry on|go on|keep going': 'continue resume',
  'hook into|plug into': 'extend plugin hook',
  'look up': 'find search get',
  'ask for': 'request prompt require',
  'deal with|cope with': 'handle',
  'rely on|count on': 'guarantee depend',
  'fall back': 'fallback default',
  'time zone': 'timezone',
  'web page|web site': 'html browser page',
  'go(?:es)? wrong|went wrong|gone wrong': 'fail error exception',
  'catch(?:es)? up': 'resume missed again',
  'hand in|hand over|send in': 'submit contribute',
  'never (?:go away|work|succeed)': 'permanent abort',
  'look(?:s|ing)? at': 'watch inspect',
  'run out of': 'exhaust limit',
  'keep(?:s)? (?:running|working|going)': 'continue',
  'hand(?:ed|ing)? over|pass(?:ed|ing)? on': 'pass forward',
  'key combination|hot ?key': 'shortcut',
  'private key': 'secret',
  'as well|in addition': 'also additional',
  'more than one|a couple of|several|a few': 'multiple',
  'every time|each time': 'always each',
  'real(?:ly)? (?:network|traffic|calls?)': 'network connect',
}).map(([pattern, meaning]) => [new RegExp(`\\b(?:${pattern})\\b`, 'i'), meaning]);

/**
 * What documents call the phrases of a question, a string of words for each: `get rid of` → `remove discard clear`. The
 * rest is the question without them.
 */
export function readPhrases(text: string): { meanings: string[]; rest: string } {
  const meanings: string[] = [];
  let rest = text.replaceAll('’', "'");
  for (const [pattern, meaning] of PHRASES) {
    rest = rest.replace(pattern, (phrase) => {
      meanings.push(meaning);
      return phrase.split(/\s+/).length > LONGEST_PHRASE ? phrase : ' ';
    });
  }
  return { meanings, rest };
}
