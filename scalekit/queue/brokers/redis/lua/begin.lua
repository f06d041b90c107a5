-- Note that a message with which a worker has died before is about to be run. Returns 0 if it is not held any more.
-- ARGV: queue, worker, id.
local held = names(ARGV[1]).held .. ARGV[2]
local holds = redis.call('HEXISTS', held, ARGV[3])
if holds == 1 then
  redis.call('HSET', held, ARGV[3], 'begun')
end
return holds
