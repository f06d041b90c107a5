-- Follows holds.lua.  KEYS[1] a name; ARGV: holder ('' if there was no hold), changed (0 or 1), facts, random, ms.
local state, rest, kind = examine(KEYS[1])
if kind ~= 'Hsk\1' and ARGV[2] == '0' then
  return 0 -- the hold has ended by itself, and what came after it is not ours
end
bury(state)
state.holders[ARGV[1]] = nil
if ARGV[2] == '1' then
  state.changed = true
  remember(state.facts, ARGV[3])
end
if next(state.holders) then
  keep_holding(KEYS[1], state, rest)
else
  finish(KEYS[1], state, rest, ARGV[4], ARGV[5])
end
return 1
