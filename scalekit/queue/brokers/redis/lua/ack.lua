-- Forget messages that were run, unless another worker has them by now.
-- ARGV: queue, worker, then the ids.
local q = names(ARGV[1])
for i = 3, #ARGV do
  if redis.call('HDEL', q.held .. ARGV[2], ARGV[i]) == 1 then
    redis.call('HDEL', q.messages, ARGV[i])
    redis.call('HDEL', q.deaths, ARGV[i])
  end
end
