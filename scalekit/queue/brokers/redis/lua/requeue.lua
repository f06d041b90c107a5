-- Take back what a worker has fetched and will not run.
-- ARGV: queue, worker, then the ids, the oldest first.
local q = names(ARGV[1])
local ready = 0
for i = #ARGV, 3, -1 do
  if redis.call('HDEL', q.held .. ARGV[2], ARGV[i]) == 1 then
    ready = ready + put_back(q, ARGV[i])
  end
end
wake(q, ready + 1) -- one more: it may have been woken and not have looked
