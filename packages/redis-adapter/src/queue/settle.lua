-- Settles a task for its worker.
--
-- @args   {id, token, kind, journal_rev?, delay?, drop? (a step besides the failed ones), retry? (JSON of the event's
--         details without the attempt), exhausted? (text after the counts), message_id?, message?} · the result or the
--         error, as JSON · its diagnostic, or ''
-- @return answer
-- @include events/events generated/rules journal/steps queue/ready scripts/due scripts/system scripts/time
-- @include sessions/session tasks/cancellation tasks/groups tasks/task tasks/task_end
local params = cjson.decode(ARGV[2])
local task = leased(params.id, params.token)
if not task then
  return finish('lease_lost')
end

local function backTo(state)
  unlease(task)
  move(task, state)
  if state ~= 'parked' then
    putInQueue(task)
  end
end

local function fail(outcome, reason)
  if ARGV[4] ~= '' then
    rawset(task, 'diagnostic', ARGV[4])
  end
  failTask(task, outcome, reason)
end

local function retry()
  task.failures = (task.failures or 0) + 1
  if task.failures >= task.header.attempts then
    local message = attemptsExhaustedText(task.failures, task.header.attempts, params.exhausted)
    fail(failure('attempts_exhausted', message), message)
    return 'exhausted'
  end
  task.dropping = params.drop or ''
  dropPortion(task)
  task.inherited, task.lost = changesOf(task), nil
  unlease(task)
  move(task, 'scheduled')
  task.resumes, task.due = false, now + params.delay
  schedule('start', task.due, task.id)
  emit(task, TASK_STATUS_UPDATE, '{"status":"retrying","details":{"attempt":' .. task.attempt .. ',' .. params.retry .. '}}')
  return 'settled'
end

if task.cancel and params.kind ~= 'completed' then
  endTask(task, 'cancelled', cancelledError(task.cancel), task.cancel)
elseif params.kind == 'parked' then
  if params.journal_rev < changesOf(task) then
    return finish('newer_outcome')
  end
  task.replayed_to, task.lost = params.journal_rev, nil
  backTo('parked')
elseif params.kind == 'released' then
  if not task.resumes then
    task.attempt = task.attempt - 1
  end
  backTo(task.resumes and 'woken' or 'ready')
elseif params.kind == 'retry' then
  return finish(retry())
elseif params.kind == 'cancelled' then
  endTask(task, 'cancelled', cancelledError(ENDED_BY_WORKFLOW_TEXT), ENDED_BY_WORKFLOW_TEXT)
elseif params.kind == 'failed' then
  fail(ARGV[3], params.reason)
else
  local session = params.message and task.header.session_id
  if session and sessionField(session, 'status') then
    addMessage(session, params.message_id, (params.message:gsub('%$at', now, 1)))
  end
  endTask(task, 'completed', ARGV[3], TASK_COMPLETED_TEXT)
end
return finish('settled')
