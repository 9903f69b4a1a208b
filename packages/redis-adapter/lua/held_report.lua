-- What became of a notification that was held.
--
-- @args   held id
-- @return answer, task id; nothing when it is not known
--@reads
--@include time tenant
local text = redis.call('HGET', PREFIX .. '@held', ARGV[2])
local held = text and cjson.decode(text)
return held and { held.answer or 'held', held.task or false } or false
