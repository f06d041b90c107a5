-- Copy the entry KEYS[1] ARGV[2] times, numbered from ARGV[1], and put each copy into the sets KEYS[2...].
local value = redis.call("GET", KEYS[1])
for number = ARGV[1], ARGV[1] + ARGV[2] - 1 do
  local copy = string.format("%s:%d", KEYS[1], number)
  redis.call("SET", copy, value)
  for index = 2, #KEYS do
    redis.call("SADD", KEYS[index], copy)
  end
end
