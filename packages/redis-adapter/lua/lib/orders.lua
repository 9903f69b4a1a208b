-- A claim that finds nothing may wait: then its sequence is that of the next lone task, which is handed to its worker in the
-- step that stores the task. For whoever loses that message it is the last claim of its claim_slot, to be asked for again.
--
-- <system>claimed:<claim_slot>  of a claim that waits: id, "\t<worker> <lease>", and for each type that it runs "\t<type> <version>"
-- <system>idle:<pool>        claimSlots with such a claim by when it ends, and perhaps others
local MOST_LOOKED_AT = 8

local function isOrder(marker)
  return marker and marker:find('\n\t', 1, true) ~= nil
end

local function placeOrder(system, params)
  local lines = { params.token, '\t' .. params.worker .. ' ' .. string.format('%d', params.lease) }
  for type, versions in pairs(params.runs) do
    lines[#lines + 1] = '\t' .. type .. ' ' .. versions[1]
  end
  redis.call('SET', system .. 'claimed:' .. params.claim_slot, table.concat(lines, '\n'), 'PX', params.wait)
  redis.call('ZADD', system .. 'idle:' .. params.pool, now + params.wait, params.claim_slot)
end

local function dropOrder(system, params)
  redis.call('ZREM', system .. 'idle:' .. params.pool, params.claim_slot)
end

-- The one that has waited longest of those that run such a task.
local function nextOrder(system, type)
  local pools = redis.call('HKEYS', system .. 'pools')
  for _, pool in ipairs(pools) do
    local idle = system .. 'idle:' .. pool
    for _ = 1, MOST_LOOKED_AT do
      local claim_slot = redis.call('ZRANGE', idle, 0, 0)[1]
      local order = claim_slot and redis.call('GET', system .. 'claimed:' .. claim_slot)
      if claim_slot and not isOrder(order) then
        redis.call('ZREM', idle, claim_slot)
      else
        local _, last = (order or ''):find('\n\t' .. type .. ' ', 1, true)
        if last then
          redis.call('ZREM', idle, claim_slot)
          local token, worker, lease = order:match('^([^\n]*)\n\t(%S+) (%d+)')
          return { claim_slot = claim_slot, token = token, worker = worker, lease = tonumber(lease), version = order:match('^%d+', last + 1) }
        end
        break
      end
    end
  end
end
