-- ARGV: queue, how many. Returns of each dead letter, the oldest first, its id, content, and deaths with the reason.
local q = names(ARGV[1])
local reply = {}
for _, id in ipairs(redis.call('ZRANGE', q.dead, 0, ARGV[2] - 1)) do
  reply[#reply + 1] = id
  reply[#reply + 1] = redis.call('HGET', q.dead_messages, id) or ''
  reply[#reply + 1] = redis.call('HGET', q.reasons, id) or '0 failed' -- what Dramatiq's own broker buried has none
end
return reply
