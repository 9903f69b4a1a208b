-- Waiting claims: a claim that finds nothing may wait, and gets the next lone task in the step that stores it (see
-- task_handover). A worker that loses that message repeats the claim as the last one of its claim slot.
--
-- <system>claimed:<claim_slot>  of a waiting claim: id, "\t<worker> <lease>", and for each type that it runs "\t<type>
--                               <version>"
-- <system>idle:<pool>        claim slots by the end of their wait; may have stale ones
-- @include scripts/time
local MAX_SCANNED = 8

local function isWaitingClaim(marker)
  return marker and marker:find('\n\t', 1, true) ~= nil
end

local function parkClaim(system, params)
  local lines = { params.token, '\t' .. params.worker .. ' ' .. string.format('%d', params.lease) }
  for type, versions in pairs(params.runs) do
    lines[#lines + 1] = '\t' .. type .. ' ' .. versions[1]
  end
  redis.call('SET', system .. 'claimed:' .. params.claim_slot, table.concat(lines, '\n'), 'PX', params.wait)
  redis.call('ZADD', system .. 'idle:' .. params.pool, now + params.wait, params.claim_slot)
end

local function unparkClaim(system, params)
  redis.call('ZREM', system .. 'idle:' .. params.pool, params.claim_slot)
end

-- The claim that has waited longest of those that run such a task.
local function nextWaitingClaim(system, type)
  local pools = redis.call('HKEYS', system .. 'pools')
  for _, pool in ipairs(pools) do
    local idle = system .. 'idle:' .. pool
    for _ = 1, MAX_SCANNED do
      local claim_slot = redis.call('ZRANGE', idle, 0, 0)[1]
      local marker = claim_slot and redis.call('GET', system .. 'claimed:' .. claim_slot)
      if claim_slot and not isWaitingClaim(marker) then
        redis.call('ZREM', idle, claim_slot)
      else
        local _, last = (marker or ''):find('\n\t' .. type .. ' ', 1, true)
        if last then
          redis.call('ZREM', idle, claim_slot)
          local token, worker, lease = marker:match('^([^\n]*)\n\t(%S+) (%d+)')
          return { claim_slot = claim_slot, token = token, worker = worker, lease = tonumber(lease), version = marker:match('^%d+', last + 1) }
        end
        break
      end
    end
  end
end
