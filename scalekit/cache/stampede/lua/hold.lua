-- Follows holds.lua.  KEYS[1] a name; ARGV: holder, ms.
local state, rest = examine(KEYS[1])
bury(state)
state.holders[ARGV[1]] = now + tonumber(ARGV[2])
return keep_holding(KEYS[1], state, rest)
