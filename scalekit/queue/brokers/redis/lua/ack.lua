-- Forget a message that was run, unless another worker has it by now.
-- ARGV: queue, worker, id.
local q = names(ARGV[1])
if redis.call('HDEL', q.held .. ARGV[2], ARGV[3]) == 1 then
  redis.call('HDEL', q.messages, ARGV[3])
  redis.call('HDEL', q.deaths, ARGV[3])
end
