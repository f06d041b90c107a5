-- The keys of a queue and the server's clock, in milliseconds. KEYS[1] is the namespace.
-- The list of ids, `.msgs`, `.XQ`, `.XQ.msgs` and `.DQ` are Dramatiq's; the others are named so that no queue is.
-- During a deployment two releases use them side by side: a later one may add keys, and change the sense of none.
local space = KEYS[1] .. ':'
local workers = space .. '__workers__' -- until when each worker is believed to be alive
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function names(queue)
  return {
    name = queue,
    list = space .. queue,
    messages = space .. queue .. '.msgs',
    delayed = space .. '__delayed__.' .. queue, -- ids by when they are due
    deaths = space .. '__deaths__.' .. queue, -- how many workers died with a message
    holders = space .. '__holders__.' .. queue, -- workers that may hold some
    held = space .. '__held__.' .. queue .. '.', -- and a worker: what it has fetched
    wake = space .. '__wake__.' .. queue, -- one token for each idle worker that is to look
    dead = space .. queue .. '.XQ',
    dead_messages = space .. queue .. '.XQ.msgs',
    reasons = space .. '__reasons__.' .. queue,
  }
end
