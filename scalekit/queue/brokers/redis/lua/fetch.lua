-- Hand messages to a worker, which holds them from now on.
-- ARGV: queue, worker, how many, how many of the queue it knows it holds, milliseconds it lives without a beat.
-- Returns 1 if it holds some that it never got, else 0; the milliseconds until it should look again (-1: until it is
-- woken); then of each message its id, the deaths it has seen, and its content.
local q = names(ARGV[1])
local worker = ARGV[2]
local held = q.held .. worker
local lost = redis.call('HLEN', held) > tonumber(ARGV[4]) and 1 or 0

local due = redis.call('ZRANGEBYSCORE', q.delayed, '-inf', now, 'LIMIT', 0, 500)
if #due > 0 then
  redis.call('ZREM', q.delayed, unpack(due))
  redis.call('RPUSH', q.list, unpack(due))
  wake(q, #due)
end

local ids = redis.call('LPOP', q.list, ARGV[3])
if not ids then
  redis.call('DEL', q.wake)
  local first = redis.call('ZRANGE', q.delayed, 0, 0, 'WITHSCORES')
  return {lost, first[2] and math.max(0, tonumber(first[2]) - now) or -1}
end
local contents = redis.call('HMGET', q.messages, unpack(ids))
local deaths = redis.call('HMGET', q.deaths, unpack(ids))
local reply = {lost, 0} -- look again at once, also if none of these ids has a message
for i, id in ipairs(ids) do
  if contents[i] then
    -- The first time it is not known whether a fetched message was begun; later the worker says so.
    redis.call('HSET', held, id, deaths[i] and 'waits' or 'fetched')
    reply[#reply + 1] = id
    reply[#reply + 1] = tonumber(deaths[i] or 0)
    reply[#reply + 1] = contents[i]
  end
end
redis.call('SADD', q.holders, worker)
redis.call('ZADD', workers, now + ARGV[5], worker)
if redis.call('LLEN', q.list) == 0 then
  redis.call('DEL', q.wake)
end
return reply
