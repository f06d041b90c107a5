-- End a session. KEYS: the session. ARGV: the prefix of the users' indexes; seconds for which nothing may be
-- created under its name again (0: not at all).
local owner = redis.call('HGET', KEYS[1], 'owner')
if owner and owner ~= '' then
  redis.call('ZREM', ARGV[1] .. owner, KEYS[1])
end
redis.call('DEL', KEYS[1])
if tonumber(ARGV[2]) > 0 then
  redis.call('HSET', KEYS[1], 'ended', '1')
  redis.call('EXPIRE', KEYS[1], ARGV[2])
end
return 1
