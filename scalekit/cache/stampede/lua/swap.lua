-- Replace what is stored if it is still what the caller saw: a lease of its own, or an entry by its id.
-- KEYS[1] the entry; ARGV: first bytes of what was seen, what replaces it ('' removes), ms (0: without end).
local stored = redis.call('GET', KEYS[1])
if not stored or string.sub(stored, 1, #ARGV[1]) ~= ARGV[1] then
  return 0
end
if ARGV[2] == '' then
  redis.call('DEL', KEYS[1])
elseif ARGV[3] == '0' then
  redis.call('SET', KEYS[1], ARGV[2])
else
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
end
return 1
