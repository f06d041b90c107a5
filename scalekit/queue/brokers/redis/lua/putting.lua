-- Put messages where workers find them, and wake as many as there is work for.
local TOKENS = 100 -- at most; a worker that finds the queue empty removes what is left

local function wake(q, count)
  local tokens = redis.call('LLEN', q.wake)
  local wanted = math.min(redis.call('LLEN', q.list), tokens + count, TOKENS)
  for _ = tokens + 1, wanted do
    redis.call('RPUSH', q.wake, '1')
  end
end

-- Put one id in its place; return how many more are ready. Who sleeps until a later one is due must look again.
local function put(q, id, delay)
  if delay <= 0 then
    redis.call('RPUSH', q.list, id)
    return 1
  end
  redis.call('ZADD', q.delayed, now + delay, id)
  if redis.call('ZRANGE', q.delayed, 0, 0)[1] == id and redis.call('LLEN', q.wake) == 0 then
    redis.call('RPUSH', q.wake, '1')
  end
  return 0
end

-- Put back what was fetched and not run: at the head, as it has waited the longest.
local function put_back(q, id)
  if redis.call('HEXISTS', q.messages, id) == 0 then
    return 0
  end
  redis.call('LPUSH', q.list, id)
  return 1
end
