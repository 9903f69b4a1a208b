import { stem } from '../text/words.js';

/**
 * Words of software documentation that people swap for each other. Coarse on purpose: a synonym only helps a passage
 * to be found and counts less than the word itself.
 */
const GROUPS = `
  abort cancel stop end terminate interrupt kill
  add append insert attach push
  allow permit enable
  alternative instead replacement
  array list
  ask request query
  authenticate login credential token
  avoid prevent forbid block refuse reject
  begin start launch run
  big large huge size
  browser client frontend
  broken dead lost stale
  cause reason
  change modify update alter edit mutate customize
  check verify validate test detect
  choose select pick
  clean clear empty flush reset
  close shut disconnect terminate end
  combine merge join
  compare difference versus
  compress deflate gzip
  concurrent parallel simultaneous concurrency
  configure setting option config parameter
  connect connection link
  convert transform turn cast
  copy clone duplicate
  create make build construct new instantiate
  crash fail failure error exception
  default initial standard
  delay wait pause sleep
  delete remove drop erase discard unregister detach
  disable deactivate suppress off
  display show print render
  document page file
  download fetch
  emit fire trigger dispatch
  error exception problem failure fault
  exact precise strict
  execute run invoke call
  fast quick speed performance
  find search lookup locate match
  function method callback handler
  fuzzy typo misspelled approximate
  give pass provide supply
  guide tutorial
  handler listener subscriber
  help usage
  hide omit exclude
  ignore skip
  import require load
  important priority urgent
  install setup
  interval period
  isolate separate
  keep retain preserve store save retention
  key name identifier
  limit maximum max cap bound restrict
  listen subscribe
  log trace debug
  many multiple several
  message payload
  minimum min least
  missing absent mandatory required
  object record
  often frequency rate
  option flag switch
  order sequence sort
  parse read decode
  password secret credential
  protect secure safe
  rate throttle limit
  repeat retry again redo resend
  response answer reply
  restart resume continue
  return answer yield
  send transmit write post
  slow performance
  specify define declare set
  split divide
  suggest autocomplete suggestion complete
  support compatible
  time timeout duration deadline
  unique distinct
  wrong invalid incorrect error
  boost weight weigh rank relevance
  job task operation work
  gone disconnect lost broken unreachable
  idle inactive unused
  biggest largest longest greatest highest most maximum
  smallest shortest least lowest minimum
  accept allow permit receive
  notice detect recognise
  real actual genuine
  old legacy outdated deprecated
  every each
  exit quit leave end terminate
  people user visitor customer
  wildcard glob pattern
`;

const SYNONYMS = new Map<string, Set<string>>();
for (const group of GROUPS.trim().split('\n')) {
  const stems = group.trim().split(/\s+/).map(stem);
  for (const word of stems) {
    const known = SYNONYMS.get(word) ?? new Set();
    for (const other of stems) if (other !== word) known.add(other);
    SYNONYMS.set(word, known);
  }
}

/** The stems that may stand for this one. */
export function synonymsOf(wordStem: string): ReadonlySet<string> {
  return SYNONYMS.get(wordStem) ?? new Set();
}
