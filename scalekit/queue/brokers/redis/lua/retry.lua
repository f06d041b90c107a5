-- Store a message anew and forget the one it came from, in one step, unless another worker has that by now.
-- ARGV: queue, worker, id, new id, delay in milliseconds, content.
local q = names(ARGV[1])
if redis.call('HDEL', q.held .. ARGV[2], ARGV[3]) == 1 then
  redis.call('HDEL', q.messages, ARGV[3])
  redis.call('HDEL', q.deaths, ARGV[3])
  redis.call('HSET', q.messages, ARGV[4], ARGV[6])
  wake(q, put(q, ARGV[4], tonumber(ARGV[5])))
end
