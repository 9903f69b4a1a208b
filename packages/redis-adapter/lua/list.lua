-- A stretch of the tasks, newest first, looked through from a chunk of @made on.
--
-- @args   {before?: place, skip: chunks of @made from its end that are done with, chunks, old: whether @old is next}
-- @return tasks, chunks looked at
--@reads
--@include time tenant state task
local params = cjson.decode(ARGV[2])
local found = {}
local function take(id)
  local task = view(id)
  if task then
    found[#found + 1] = task
  end
end
if params.old then
  -- What has outlived its chunk of @made, by place.
  local before = params.before and '(' .. params.before or '+inf'
  for _, id in ipairs(redis.call('ZREVRANGEBYSCORE', PREFIX .. '@old', before, '-inf', 'LIMIT', 0, params.chunks)) do
    take(id)
  end
  return { found, #found }
end
local chunks = redis.call('LRANGE', PREFIX .. '@made', -params.skip - params.chunks, -params.skip - 1)
for at = #chunks, 1, -1 do
  local place, ids = chunks[at]:match('^(%d+) %d+ (.*)$')
  local inChunk = {}
  for id in ids:gmatch('%S+') do
    inChunk[#inChunk + 1] = id
  end
  for index = #inChunk, 1, -1 do
    if not params.before or place + index - 1 < params.before then
      take(inChunk[index])
    end
  end
end
return { found, #chunks }
