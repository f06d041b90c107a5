-- Move a message to the dead letters, which are kept in order by the microsecond.
local function bury(q, id, reason)
  local deaths = redis.call('HGET', q.deaths, id) or '0'
  local data = redis.call('HGET', q.messages, id)
  redis.call('HDEL', q.messages, id)
  redis.call('HDEL', q.deaths, id)
  if data then
    redis.call('ZADD', q.dead, string.format('%.3f', clock[1] * 1000 + clock[2] / 1000), id)
    redis.call('HSET', q.dead_messages, id, data)
    redis.call('HSET', q.reasons, id, deaths .. ' ' .. reason)
  end
end
