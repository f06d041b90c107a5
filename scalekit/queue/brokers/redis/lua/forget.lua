-- ARGV: queue, then the ids of dead letters to remove.
local q = names(ARGV[1])
for i = 2, #ARGV do
  redis.call('ZREM', q.dead, ARGV[i])
  redis.call('HDEL', q.dead_messages, ARGV[i])
  redis.call('HDEL', q.reasons, ARGV[i])
end
