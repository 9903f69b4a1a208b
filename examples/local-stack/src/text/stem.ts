/** Forms that no ending betrays, and the word that they are forms of. */
const IRREGULAR = new Map(
  `lost lose losing lose gone go went go begun begin began begin took take taken take grew grow grown grow kept keep
  sent send built build rebuilt rebuild ran run written write wrote write rewritten rewrite thrown throw threw throw
  shown show hidden hide broke break broken break chosen choose chose choose found find left leave made make known know
  knew know came come given give gave give got get gotten get held hold told tell said say saw see seen see sold sell
  spent spend stood stand understood understand fell fall fallen fall felt feel flew fly forgot forget forgotten forget
  froze freeze frozen freeze spoke speak spoken speak stole steal stolen steal stuck stick swapped swap bound bind
  bought buy brought bring caught catch drew draw drawn draw drove drive driven drive eaten eat fed feed fought fight
  laid lay led lead met meet paid pay rose rise risen rise sank sink slept sleep slid slide split split struck strike
  swore swear taught teach thought think tied tie tying tie tore tear torn tear woke wake woken wake won win wound wind
  dying die died die lying lie overridden override overrode override overwritten overwrite overwrote overwrite
  arose arise beaten beat became become hung hang lent lend shut shut sought seek spun spin sprang spring stolen steal
  children child people person men man women woman feet foot mice mouse indices index indexes index matrices matrix
  vertices vertex criteria criterion schemata schema caches cache cached cache caching cache dies die dropping drop
  worse bad worst bad better good best good older old oldest old newer new newest new bigger big biggest big
  larger large largest large smaller small smallest small longer long longest long shorter short shortest short
  faster fast fastest fast slower slow slowest slow earlier early earliest early later late latest late
  higher high highest high lower low lowest low upper up cheaper cheap deeper deep fewer few fewest few`
    .trim()
    .split(/\s+/)
    .reduce<[string, string][]>((pairs, word, at, all) => {
      if (at % 2 === 0) pairs.push([word, all[at + 1] ?? word]);
      return pairs;
    }, []),
);
const ENDINGS =
  /(?:iz(?:ation|e[dr]?|ing)?|ational|fulness|iveness|ements?|ments?|ations?|ingly|edly|ings?|ion|ed|ers?|(?<=[aci]t)ors?|ly|al|able|ible|ness|ful)$/;
/** Two-letter remainders say nothing: `user` is not a form of `us`. */
const SHORTEST_ROOT = 3;

/**
 * A word without its English endings: `configured`, `configuration`, `configures` → `configur`; `lost` and `losing` →
 * `los`; British and American spellings alike. Coarse on purpose: it only has to be the same for the question and the
 * document. Words with digits and short words stay as they are.
 */
export function stem(word: string): string {
  if (word.length <= 2 || /\d/.test(word)) return word;
  const plain = IRREGULAR.get(word) ?? word.replace(/'\p{L}+$/u, '');
  let root = american(plain)
    .replace(/(?:ies|ied)$/, 'y')
    .replace(/(ss|x|z|ch|sh)es$/, '$1')
    .replace(/([^sui])s$/, '$1');
  if (root.length <= 3) return root;
  const shorter = root.replace(ENDINGS, '');
  if (shorter.length >= SHORTEST_ROOT && /[aeiouy]/.test(shorter)) root = shorter;
  root = root.replace(/([bdfglmnprt])\1$/, '$1');
  return root.length > 3 ? root.replace(/e$/, '').replace(/y$/, 'i') : root;
}

/** `colour` → `color`, `organise` → `organize`, `centre` → `center`. */
function american(word: string): string {
  return word
    .replace(/(?<=[^aeiou][a-z]*[^fh])our(?=s?$|ed$|ing$|ful$|able$|ite$)/, 'or')
    .replace(/is(?=(?:e[drs]?|ing|ation)$)/, (ending) =>
      word.length > 6 && !/(?:rais|nois|wis|mis|cis|pris|vis|prom)is?e?/.test(word) ? 'iz' : ending,
    )
    .replace(/^(cent|met|lit|fib)re(?=s?$)/, '$1er')
    .replace(/logue(?=s?$)/, 'log');
}
