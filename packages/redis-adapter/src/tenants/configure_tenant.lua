-- Settings of an operator. A field set to '' is removed.
--
-- @args   field, value, field, value …
-- @include scripts/system scripts/tenant
if not meta.known then
  createTenant()
end
for at = 2, #ARGV, 2 do
  if ARGV[at + 1] == '' then
    redis.call('HDEL', META, ARGV[at])
    meta[ARGV[at]] = nil
  else
    setMeta(ARGV[at], ARGV[at + 1])
  end
end
if redis.call('EXISTS', READY) == 1 or redis.call('EXISTS', PREFIX .. '@groups') == 1 then
  becameReady = true
end
return finish(1)
