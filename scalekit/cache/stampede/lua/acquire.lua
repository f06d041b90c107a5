-- Take the lease of an entry that is not there, or that the caller has seen and found void.
-- KEYS[1] the entry; ARGV: token, digest of the stamps, first bytes of what may be replaced ('' nothing), ms.
-- Returns the facts that the load must see, or what is stored instead.
local stored = redis.pcall('GET', KEYS[1])
if type(stored) ~= 'string' then stored = false end -- nothing, or something that is no string
local kind = stored and string.sub(stored, 1, 4)
local facts = ''
if kind == 'Lsk\1' or kind == 'Vsk\1' or kind == 'Hsk\1' then
  if ARGV[3] == '' or string.sub(stored, 1, #ARGV[3]) ~= ARGV[3] then
    return {0, stored}
  end
end
if kind == 'Lsk\1' then
  facts = string.sub(stored, 21)
elseif kind == 'Ssk\1' then
  facts = string.sub(stored, 13)
end
redis.call('SET', KEYS[1], 'Lsk\1' .. ARGV[1] .. ARGV[2] .. facts, 'PX', ARGV[4])
return {1, facts}
