-- Delivers a signal to a waiting workflow, or keeps it until a step reads it.
--
-- <task>:mailbox  unread signals, as "name newline payload"
-- <task>:signals  ids of accepted signals; with a fingerprint also "id fingerprint"
-- @args   {id, name, signal, fingerprint?} · payload, as JSON
-- @return answer
-- @include generated/rules journal/steps scripts/system scripts/tenant tasks/task tasks/task_end
local params = cjson.decode(ARGV[2])
local task = load(params.id)
if not task then
  return finish('not_found')
end
if isFinal(task) then
  return finish('already_final')
end
local ids, mailbox = PREFIX .. task.id .. ':signals', PREFIX .. task.id .. ':mailbox'
if redis.call('SISMEMBER', ids, params.signal) == 1 then
  local same = not params.fingerprint or redis.call('SISMEMBER', ids, params.signal .. ' ' .. params.fingerprint) == 1
  return finish(same and 'repeated' or 'idempotency_conflict')
end
if holdsTooMuch() then
  return finish('queue_full')
end
local waiting
for _, step in ipairs(allSteps(task)) do
  if step.signal == params.name and not step.ended and (not waiting or step.at < waiting.at) then
    waiting = step
  end
end
-- A refusal here costs the workflow nothing: it keeps waiting.
local outcome = '{"ok":true,"value":' .. ARGV[3] .. '}'
if #outcome + (task.bytes or 0) + (task.mail or 0) > MAX_JOURNAL_BYTES then
  return finish('journal_full')
end
if waiting then
  settleStep(task, waiting, outcome, true)
  wake(task)
elseif redis.call('LLEN', mailbox) >= MAX_SIGNALS then
  return finish('too_many')
else
  redis.call('RPUSH', mailbox, params.name .. '\n' .. ARGV[3])
  addMail(task, #outcome)
end
redis.call('SADD', ids, params.signal)
if params.fingerprint then
  redis.call('SADD', ids, params.signal .. ' ' .. params.fingerprint)
end
return finish(waiting and 'delivered' or 'kept')
