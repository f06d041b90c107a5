-- Let a lease live on, if it is still ours.  KEYS[1] the entry; ARGV: first bytes of the lease, ms.
local stored = redis.call('GET', KEYS[1])
if stored and string.sub(stored, 1, #ARGV[1]) == ARGV[1] then
  return redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 0
