-- Budgets of tasks, reserved from those of the tenant.
--
-- @meta  reserved  tokens that live tasks have reserved
-- State of a task with a budget: drawn, reserved (texts: JSON here would keep 14 digits).
-- @include scripts/tenant scripts/time tasks/task tenants/usage
local reserveBudget, returnBudget, isBudgetSpent, originOf, countTaskUsage
do
  local MAX_DEPTH = 16

  local function setReserved(task, tokens)
    setMeta('reserved', exact(count('reserved') + tokens - (tonumber(task.reserved) or 0)))
    task.reserved = tokens ~= 0 and exact(tokens) or nil
  end

  function reserveBudget(task)
    if task.header.budget then
      setReserved(task, task.header.budget)
    end
  end

  function returnBudget(task)
    if task.reserved then
      setReserved(task, 0)
    end
  end

  -- Calls `act` for the task and those that it is a child of, until it returns something.
  local function withParents(task, act)
    for _ = 1, MAX_DEPTH do
      local answer = act(task)
      local parent = task.header.parent_task_id
      task = not answer and parent and load(parent)
      if not task then
        return answer
      end
    end
  end

  local function drawBudget(task, tokens)
    withParents(task, function(each)
      local budget = each.header.budget
      if budget then
        local drawn = (tonumber(each.drawn) or 0) + tokens
        each.drawn = exact(drawn)
        if not isFinal(each) then
          setReserved(each, math.max(0, budget - drawn))
        end
      end
    end)
  end

  function isBudgetSpent(task)
    return withParents(task, function(each)
      return each.header.budget and (tonumber(each.drawn) or 0) >= each.header.budget
    end)
  end

  function originOf(task)
    local root = task
    withParents(task, function(each)
      root = each
    end)
    local header = root.header
    return {
      session = header.session_id or '', task = root.id, agent = header.agent_id or '',
      user = header.metadata.user_id or '',
    }
  end

  -- Counts the usage of a task or of one of its calls, see addUsage. `origin`: that of the task, unless it is given.
  function countTaskUsage(task, operation, usage, origin)
    task.tokens = exact((tonumber(task.tokens) or 0) + usage.tokens)
    drawBudget(task, usage.tokens)
    addUsage(operation, usage, origin or originOf(task))
  end
end
