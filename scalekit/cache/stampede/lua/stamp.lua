-- Return a tag's stamp, a new one if there is none, and let it outlive the entry that will depend on it.
-- A missing stamp is never numbered on from another: it is random, so that no eviction makes an old entry valid.
-- KEYS[1] the stamp; ARGV: random, ms.
local stored = redis.pcall('GET', KEYS[1])
if type(stored) ~= 'string' then stored = false end -- nothing, or something that is no string
local kind = stored and string.sub(stored, 1, 4)
if kind == 'Hsk\1' then
  return stored
end
if kind ~= 'Ssk\1' then
  stored = 'Ssk\1' .. ARGV[1]
  redis.call('SET', KEYS[1], stored, 'PX', ARGV[2])
elseif redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return stored
