-- Save what one request changed in a session, and nothing else, in one step.
-- KEYS: the session. ARGV: "create", "update" or "replace"; seconds to live; how many fields follow to set,
-- each as name and value; then the names of fields to delete. Answers 1, or 0 if it was refused:
-- a session that was deleted is never written again, one that exists never created again.
local mode, ttl, count = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local exists = redis.call('EXISTS', KEYS[1]) == 1
if exists == (mode == 'create') then
  return 0
end
if mode == 'replace' or ttl <= 0 then
  redis.call('DEL', KEYS[1])
end
if ttl <= 0 then
  return 1
end
if mode ~= 'update' then
  redis.call('HSET', KEYS[1], 'format', '1')
end
for i = 4, 3 + 2 * count, 2 do
  redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
end
for i = 4 + 2 * count, #ARGV do
  redis.call('HDEL', KEYS[1], ARGV[i])
end
redis.call('EXPIRE', KEYS[1], ttl)
return 1
