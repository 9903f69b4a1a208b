import type { CommandName, CommandParams, CommandResult } from './command.js';
import type { EngineParts } from './engine-parts.js';

type Handlers = {
  readonly [N in CommandName]: (parts: EngineParts, params: CommandParams<N>) => CommandResult<N>;
};

/**
 * The handler of each command: synchronous, with no source of time and chance but the command. It refuses by its result; one
 * that throws has changed nothing.
 */
export const COMMANDS: Handlers = {
  'state.reopen': ({ reopening }, params) => reopening.reopen(params),
  'tasks.submit': ({ submissions }, params) => submissions.submit(params),
  'tasks.submitBatch': ({ submissions }, params) => submissions.submitBatch(params),
  'tasks.cancelBatch': ({ tasks }, params) => tasks.cancelBatch(params),
  'tasks.cancelMore': ({ tasks }, params) => tasks.cancelMore(params),
  'tasks.register': ({ submissions }, params) => submissions.register(params),
  'tasks.redrive': ({ submissions }, params) => submissions.redrive(params),
  'tasks.discard': ({ tasks }, params) => tasks.discard(params),
  'tasks.finish': ({ tasks }, params) => tasks.finish(params),
  'tasks.progress': ({ tasks }, params) => tasks.progress(params),
  'tasks.cancel': ({ tasks }, params) => tasks.cancel(params),
  'tasks.signal': ({ tasks }, params) => tasks.signal(params),
  'queue.claim': ({ queue }, params) => queue.claim(params),
  'queue.renew': ({ queue }, params) => queue.renew(params),
  'queue.settle': ({ queue }, params) => queue.settle(params),
  'queue.wake': ({ queue }, params) => queue.wake(params),
  'sweep.expire': ({ sweep }) => sweep.expire(),
  'sweep.fire': ({ sweep }, params) => sweep.fire(params),
  'journal.begin': ({ journals }, params) => journals.begin(params),
  'journal.record': ({ journals }, params) => journals.record(params),
  'journal.report': ({ journals }, params) => journals.report(params),
  'sessions.create': ({ sessions }, params) => sessions.create(params),
  'sessions.update': ({ sessions }, params) => sessions.update(params),
  'sessions.append': ({ sessions }, params) => sessions.append(params),
  'sessions.close': ({ sessions }, params) => sessions.close(params),
  'events.follow': ({ events }, params) => events.follow(params),
  'events.unfollow': ({ events }, params) => events.unfollow(params),
  'tenants.configure': ({ tenants }, params) => tenants.configure(params),
  'tickets.issue': ({ tickets }, params) => tickets.issue(params),
  'tickets.spend': ({ tickets }, params) => tickets.spend(params),
  'usage.add': ({ usage }, params) => usage.add(params),
  'cache.claim': ({ cache }, params) => cache.claim(params),
  'cache.renew': ({ cache }, params) => cache.renew(params),
  'cache.put': ({ cache }, params) => cache.put(params),
  'cache.remove': ({ cache }, params) => cache.remove(params),
  'cache.invalidate': ({ cache }, params) => cache.invalidate(params),
  'workers.announce': ({ workers }, params) => workers.announce(params),
  'workers.leave': ({ workers }, params) => workers.leave(params),
};

/** Commands that make an id of their `seed`. */
export const SEEDED: ReadonlySet<CommandName> = new Set<CommandName>(['journal.report']);
