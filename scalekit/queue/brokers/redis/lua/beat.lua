-- Say that a worker lives, and look after its queues: whoever comes first after a third of the time-out does it.
-- ARGV: worker, milliseconds it lives without a beat, deaths after which a message is dead, milliseconds that dead
-- letters are kept, then the queues.
local worker, timeout, most, keep = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local looks = space .. '__looks__' -- of each queue: when it was looked after, and from when on workers may be dead
local interval, patience = timeout / 3, math.floor(timeout * 2 / 3)
redis.call('ZADD', workers, now + timeout, worker)
redis.call('ZREMRANGEBYSCORE', workers, '-inf', now - 3600000) -- one that is not listed is dead too

-- If nobody has looked for long, then the server was away, or its clock has jumped: all get time for a beat.
local function may_bury(q)
  local last, from = string.match(redis.call('HGET', looks, q.name) or '', '^(%d+) (%d+)$')
  last, from = tonumber(last), tonumber(from)
  if last and now >= last and now - last < interval then
    return false
  end
  if not last or now < last or now - last > patience then
    from = now + patience
  end
  redis.call('HSET', looks, q.name, string.format('%d %d', now, from))
  return now >= from
end

local function forget_dead(q)
  local ids = redis.call('ZRANGEBYSCORE', q.dead, '-inf', now - keep, 'LIMIT', 0, 500)
  if #ids > 0 then
    redis.call('ZREM', q.dead, unpack(ids))
    redis.call('HDEL', q.dead_messages, unpack(ids))
    redis.call('HDEL', q.reasons, unpack(ids))
  end
end

for i = 5, #ARGV do
  local q = names(ARGV[i])
  adopt(q)
  if may_bury(q) then
    wake(q, recover(q, most) + inherit(q, most))
    forget_dead(q)
  end
end
