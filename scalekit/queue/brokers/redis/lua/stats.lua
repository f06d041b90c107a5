-- ARGV: queue. Returns how many are ready, delayed, fetched and dead, the content of the oldest, and the time.
local q = names(ARGV[1])
local fetched = 0
for _, worker in ipairs(redis.call('SMEMBERS', q.holders)) do
  fetched = fetched + redis.call('HLEN', q.held .. worker)
end
local first = redis.call('LINDEX', q.list, 0)
return {
  redis.call('LLEN', q.list),
  redis.call('ZCARD', q.delayed) + redis.call('LLEN', q.list .. '.DQ'),
  fetched,
  redis.call('ZCARD', q.dead),
  first and redis.call('HGET', q.messages, first) or '',
  now,
}
