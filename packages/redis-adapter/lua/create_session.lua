-- @args   {id, agent?} · context, as JSON
-- @return created or exists, the session's fields
--@intake
--@include time tenant state task trim waiting events due rotation system session
local params = cjson.decode(ARGV[2])
local made = openSession(params.id, params.agent, ARGV[3])
return finish({ made and 'created' or 'exists', viewSession(params.id) })
