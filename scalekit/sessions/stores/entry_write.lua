-- Write a saved session through. KEYS: its entry. ARGV: its version, or "" to drop what lies there; seconds to live;
-- fields as name and value. What is not there is not made, and a tombstone stays: both may mean that the session has
-- ended. A lease is taken away, since its holder may have read what was there before.
local at = redis.call('HMGET', KEYS[1], 'version', 'tombstone')
if at[2] then
  return 0
end
if not at[1] or ARGV[1] == '' then
  redis.call('DEL', KEYS[1])
  return 0
end
if tonumber(at[1]) >= tonumber(ARGV[1]) then
  return 0
end
redis.call('DEL', KEYS[1])
for i = 3, #ARGV, 2 do
  redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
end
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 1
