-- The epoch of the tenant's log: when it began, and which server keeps it. One that takes another's sequence may know less of
-- it, and has another replication id.
local function epochOfLog()
  if not meta.epoch then
    return false
  end
  local info = redis.pcall('INFO', 'replication')
  local id = type(info) == 'string' and info:match('master_replid:(%x%x%x%x%x%x%x%x)')
  return meta.epoch .. (id or '')
end
