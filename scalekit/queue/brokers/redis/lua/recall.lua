-- Take back what a worker holds and does not know of: the answer to its fetch was lost on the way.
-- ARGV: queue, worker, then the ids it knows.
local q = names(ARGV[1])
local held = q.held .. ARGV[2]
local known = {}
for i = 3, #ARGV do
  known[ARGV[i]] = true
end
local ready = 0
for _, id in ipairs(redis.call('HKEYS', held)) do
  if not known[id] then
    redis.call('HDEL', held, id)
    ready = ready + put_back(q, id)
  end
end
wake(q, ready)
return ready
