-- Store messages, those with a delay until they are due. One that is there already is left alone: the client
-- sends a command again if its connection broke.
-- ARGV: queue, then id, delay (milliseconds, 0: none) and content of each.
local q = names(ARGV[1])
local ready = 0
for i = 2, #ARGV, 3 do
  if redis.call('HSETNX', q.messages, ARGV[i], ARGV[i + 2]) == 1 then
    ready = ready + put(q, ARGV[i], tonumber(ARGV[i + 1]))
  end
end
wake(q, ready)
