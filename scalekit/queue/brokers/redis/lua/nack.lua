-- Move a message to the dead letters, unless another worker has it by now.
-- ARGV: queue, worker, id, reason.
local q = names(ARGV[1])
if redis.call('HDEL', q.held .. ARGV[2], ARGV[3]) == 1 then
  bury(q, ARGV[3], ARGV[4])
end
