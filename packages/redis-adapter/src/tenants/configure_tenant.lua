-- Settings of an operator. A field set to '' is removed.
-- `guarded`: the tenant has limits that only the full steps look at, see fast_path.
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
local isGuarded = meta.max_waiting or meta.max_stored or meta.types or meta.budgets
if isGuarded and not meta.guarded then
  setMeta('guarded', 1)
elseif not isGuarded and meta.guarded then
  redis.call('HDEL', META, 'guarded')
end
if redis.call('EXISTS', READY) == 1 or redis.call('EXISTS', PREFIX .. '@groups') == 1 then
  becameReady = true
end
return finish(1)
