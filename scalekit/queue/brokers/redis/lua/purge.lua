-- Remove all there is of a queue. ARGV: queue.
local q = names(ARGV[1])
for _, worker in ipairs(redis.call('SMEMBERS', q.holders)) do
  redis.call('DEL', q.held .. worker)
end
redis.call('DEL', q.list, q.messages, q.delayed, q.deaths, q.holders, q.wake, q.dead, q.dead_messages, q.reasons)
redis.call('DEL', q.list .. '.DQ', q.list .. '.DQ.msgs')
