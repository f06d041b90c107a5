-- Return the server's time and the time before which nothing that was stored is believed; ARGV[1] = '1': now.
-- KEYS[1] the epoch.  Milliseconds.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
if ARGV[1] == '1' then
  redis.call('SET', KEYS[1], now)
end
return {now, redis.call('GET', KEYS[1]) or '0'}
