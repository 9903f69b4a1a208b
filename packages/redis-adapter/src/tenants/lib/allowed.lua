-- Lists of what the tenant may use: types, services.
-- Whether a list of names, if there is one, has the name.
local function mayUse(list, name)
  return not list or list:find(' ' .. name .. ' ', 1, true) ~= nil
end

