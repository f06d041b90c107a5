-- Save what one request changed in a session, and nothing else, in one step.
-- KEYS: the session. ARGV: "create", "update" or "replace"; seconds to live; seconds a session lives in all (0: no
-- limit); the user's id or ""; the prefix of the users' indexes; how many fields follow to set, each as name and
-- value; then the names of fields to delete. Answers when the session began, or 0 if the save was refused: a session
-- that was deleted is never written again, one that exists (or has a tombstone) never created again.
local session, mode, ttl, limit = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local owner, prefix, count = ARGV[4], ARGV[5], tonumber(ARGV[6])
local meta = redis.call('HMGET', session, 'format', 'ended', 'created', 'owner', 'indexed')
local exists = meta[1] or redis.call('EXISTS', session) == 1
if meta[2] or (mode == 'create') == (exists and true or false) then
  return 0
end
local now = tonumber(redis.call('TIME')[1])
local created = meta[3] or tostring(now)
if limit > 0 then
  ttl = math.min(ttl, tonumber(created) + limit - now)
end
local before, indexed = meta[4] or '', tonumber(meta[5] or 0)
if before ~= '' and (before ~= owner or ttl <= 0) then
  redis.call('ZREM', prefix .. before, session)
end
if mode == 'replace' or ttl <= 0 then
  redis.call('DEL', session)
end
if ttl <= 0 then
  return created
end
if mode ~= 'update' or before ~= owner then
  redis.call('HSET', session, 'format', '1', 'created', created, 'owner', owner, 'indexed', 0)
  indexed = 0
end
for from = 7, math.max(7, 6 + 2 * count), 1000 do -- unpack has a limit
  redis.call('HSET', session, 'saved', now, unpack(ARGV, from, math.min(from + 999, 6 + 2 * count)))
end
for i = 7 + 2 * count, #ARGV do
  redis.call('HDEL', session, ARGV[i])
end
redis.call('EXPIRE', session, ttl)
if owner ~= '' and indexed < now + ttl then
  -- Twice as long as needed, so that the index is not written at each save.
  local index = prefix .. owner
  redis.call('ZADD', index, now + 2 * ttl, session)
  redis.call('ZREMRANGEBYSCORE', index, '-inf', now)
  if redis.call('TTL', index) < 2 * ttl then
    redis.call('EXPIRE', index, 2 * ttl)
  end
  redis.call('HSET', session, 'indexed', now + 2 * ttl)
end
return created
