-- List a user's live sessions. KEYS: the user's index. Answers name, began, saved, seconds left of each.
local found = {}
for _, session in ipairs(redis.call('ZREVRANGE', KEYS[1], 0, -1)) do
  local times = redis.call('HMGET', session, 'created', 'saved')
  if times[1] then
    table.insert(found, {session, times[1], times[2], redis.call('TTL', session)})
  else
    redis.call('ZREM', KEYS[1], session)
  end
end
return found
