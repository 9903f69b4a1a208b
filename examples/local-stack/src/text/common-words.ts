import { stem } from './stem.js';

/**
 * Words that people word questions with, whatever they ask about: verbs, adjectives, adverbs and nouns of everyday
 * English. That a document has another one instead tells little; that it has no `bluetooth` or `invoice` tells a lot.
 */
const COMMON = `
  able accept accident across act action actual add admit adult advice afford afraid afternoon again against age ago agree
  ahead aim air alive allow almost alone along already also always amount ancient angry animal announce annoy another answer
  apart appear apply approach area argue arm around arrange arrive art aside ask asleep attach attack attempt attend
  attention available average avoid awake away baby back bad bag balance ball band bar bare base basic bath beat beautiful
  because become bed before begin behave behind believe belong below bend beneath best better between beyond big bird
  birth bit bite black blind block blood blow blue board boat body bone book born borrow boss both bother bottle bottom
  bound bowl box boy brain brand brave bread break breakfast breath bridge brief bright bring broad brother brown build
  burn bury business busy button buy cake call calm camera camp can capital captain car card care careful carry case cat
  catch cause celebrate center century certain chain chair chance change chapter character charge charm cheap cheat check
  cheer chest chicken chief child choice choose church circle city claim class clean clear clever climb clock close cloth
  cloud club coach coast coat coffee cold collect college colour combine come comfort common company compare complain
  complete concern condition confuse consider constant contain content continue control cook cool copy corner correct cost
  count country couple courage course cover crazy create cross crowd cry cup curious current curve custom cut damage dance
  danger dare dark date daughter day dead deal dear death debt decide deep degree deliver demand depend describe desert
  deserve design desire desk detail develop die differ difference different difficult dig dinner dirt discover discuss
  disease dish distance divide doctor dog door double doubt down dozen drag draw dream dress drink drive drop dry due dull
  duty each eager ear early earn earth ease east easy eat edge effect effort egg eight either elect else emotion empty end
  enemy energy enjoy enough enter entire equal escape especially even evening event ever every evil exact example excellent
  except excite excuse exercise exist expect expensive experience explain express extra extreme eye face fact fail fair
  faith fall familiar family famous fancy far farm fashion fast fat father fault favor favorite fear feature feed feel
  fellow fence few fight figure fill final find fine finger finish fire firm first fish fit five fix flat flight float
  floor flow flower fly fold follow food fool foot force foreign forever forget forgive form former fortune forward found
  four free freedom fresh friend front fruit fuel full fun funny further future gain game garden gather general gentle get
  gift girl give glad glass go goal god gold good govern grab grand grass grave gray great green ground group grow guard
  guess guest guide guilt habit hair half hall hand handle hang happen happy hard hardly harm hat hate have head health
  hear heart heat heavy height help here hero hide high hill history hit hobby hold hole holiday home honest honor hope
  horse hospital hot hotel hour house huge human humor hundred hungry hunt hurry hurt husband ice idea ideal ignore ill
  image imagine immediate important impossible impress improve include increase indeed independent influence inform insist
  inside instead intelligent intend interest introduce invent invite involve iron island issue item job join joke journey
  joy judge juice jump just keep key kick kid kill kind king kiss kitchen knee knock know knowledge lack lady lake land
  language large last late laugh law lay lazy lead leaf lean learn least leave left leg legal lend length less lesson let
  letter level lie life lift light like likely limit line lip list listen little live lock lonely long look lose loss lot
  loud love low luck lunch mad magic mail main maintain major make male man manage manner many mark market marry mass
  master match matter may maybe meal mean meanwhile measure meat medicine meet member memory mention merely mess middle
  might mile milk mind mine minute miss mistake mix modern moment money month mood moon moral more morning most mother
  mountain mouth move much music must mystery naked name narrow nation nature near neat necessary neck need neither nervous
  never new news next nice night nine nobody noise none nor normal north nose note nothing notice now number object obvious
  occasion occur odd off offer office often okay old once one only open opinion opportunity opposite order ordinary
  other otherwise outside over own pack page pain paint pair paper parent park part particular partner party pass past
  path patient pay peace people perfect perform perhaps period permit person phrase pick picture piece pity place plain plan
  plant plate play please pleasure plenty pocket point polite poor popular position possible pour power practice pray
  prefer prepare present press pretend pretty prevent price pride print prison private prize probably problem produce
  promise proof proper protect proud prove provide public pull punish purpose push put puzzle quality quarter question
  quick quiet quit quite race rain raise range rare rather reach react read ready real realize reason recall receive recent
  recognize record red reduce refuse regard regret regular relate relation relax remain remark remember remind remove
  rent repair repeat replace report require rescue respect rest result return reveal rich ride right ring rise risk river
  road rock room rough round row rub rule run rush sad safe sail salt same save say scare scene school scold score scream
  sea search season seat second secret see seek seem seldom sell send sense sentence separate serious serve settle seven
  several shade shake shall shame shape share sharp she sheet shine ship shock shoe shoot shop short should shoulder shout
  show shut shy sick side sight sign silence silly similar simple since sing single sister sit situation six size skill skin
  skip sky sleep slight slip slow small smart smell smile smoke smooth snow soft soldier solve some son song soon sorry
  sort soul sound south space spare speak special speech speed spell spend spirit spite split spoil spot spread spring
  square stage stair stand star stare start state stay steal step stick still stone stop store storm story straight
  strange stranger street strength stress stretch strict strike strong struggle study stuff stupid style subject succeed
  success such sudden suffer sugar suggest suit summer sun supply support suppose sure surprise surround survive suspect
  sweet swim system table tail take talk tall task taste teach team tear tell ten tend term terrible test thank thick thin
  thing think third though thought thousand three through throw tie tight till time tiny tired title together tomorrow tone
  tongue tonight tooth top total touch tough toward town trade train travel treat tree trick trip trouble true trust truth
  try turn twelve twenty twice twist two ugly unable uncle under understand unite unless unlike until up upon upset use
  useful usual value various vast very view village violent visit voice vote wait wake walk wall wander want war warm warn
  wash waste watch water wave way weak wealth wear weather wedding week weigh weird welcome well west wet whatever wheel
  whenever wherever whether whisper white whole wide wife wild will win wind window wine winter wise wish within without
  woman wonder wood word work world worry worth wrap write wrong yard year yell yellow yesterday yet young zero
  accidentally afterwards altogether anymore anyway anywhere apparently basically beforehand besides certainly clearly
  constantly correctly currently definitely directly easily elsewhere entirely essentially eventually everywhere extremely
  fairly finally forth fortunately frequently fully generally gradually hopefully however indeed instantly likewise mainly
  meanwhile mostly namely nearly nevertheless nowadays obviously occasionally otherwise overall partly perfectly possibly
  practically previously primarily properly purely quickly quietly rapidly rarely reasonably recently roughly secretly
  seriously silently simply slightly slowly somehow sometimes somewhat somewhere suddenly temporarily thus typically
  unfortunately usually weirdly whichever alright anybody everybody somebody whoever
  achieve acquire adapt address adjust affect alter alternative anticipate appropriate approve assign assist assume attract
  aware behavior benefit briefly capable category cease challenge circumstance comment commit complex component concept
  conclude conduct confirm conflict consequence consist consult context contrast contribute convenient convert convince
  cope correspond crucial decline define demonstrate deny derive despite detect determine device devote distinct distribute
  dominate eliminate emerge emphasis enable encounter encourage enormous ensure equip essential establish estimate evaluate
  evidence evident evolve examine exceed exclude execute exhibit expand explore expose external extract facilitate factor
  favour focus forbid fulfil function gap generate guarantee identical identify illustrate imply indicate inevitable
  initial insert inspect instance intense interfere internal interpret investigate isolate label largely launch locate
  merge method minimum modify monitor motive multiple mutual neglect notion obtain occupy opt outcome overcome participate
  perceive permanent persist pile possess potential precede precise preserve previous primary principle prior proceed
  process prohibit proportion propose prospect pursue random reject release relevant reluctant rely represent resist
  resolve respond restore restrict retain reverse role scope select sequence severe shift significant slide somewhat
  specific specify stable status strategy structure submit subsequent substitute sufficient suitable suspend switch
  temporary terminate thorough trace transfer transform transmit trigger typical undergo unique utilize valid vary
  verify visible withdraw odds unnoticed unwanted weird wiped tidy spit tiny grab stumble fiddle
`;

const WORDS = new Set(COMMON.trim().split(/\s+/));
const STEMS = new Set([...WORDS].map(stem));

/** Whether this is the stem of a word of everyday English. */
export function isCommonStem(wordStem: string): boolean {
  return STEMS.has(wordStem);
}

/** Whether this very word, in lower case, is one of everyday English. */
export function isCommonWord(word: string): boolean {
  return WORDS.has(word);
}
