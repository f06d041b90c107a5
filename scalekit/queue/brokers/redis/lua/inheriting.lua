-- What Dramatiq's own broker left in the same namespace: delayed messages, and what its dead workers had fetched.
-- The time of their signs of life is by their own clocks, so what counts is that it no longer changes.
local SILENT = 60000 -- milliseconds: its own limit
local FORGOTTEN = 86400000 -- after which it is taken off the list; by then every queue has been looked at
local signs = space .. '__heartbeats__'
local seen = space .. '__seen__'

local function adopt(q)
  local list, messages = q.list .. '.DQ', q.list .. '.DQ.msgs'
  for _ = 1, 500 do
    local id = redis.call('LPOP', list)
    if not id then
      break
    end
    local data = redis.call('HGET', messages, id)
    redis.call('HDEL', messages, id)
    if data then
      local read, message = pcall(cjson.decode, data)
      local options = read and type(message) == 'table' and message.options
      local eta = type(options) == 'table' and tonumber(options.eta) or 0
      if not (math.abs(eta) < 1e15) then -- nor is it no number
        eta = 0
      end
      redis.call('HSET', q.messages, id, data)
      put(q, id, math.max(1, eta - now))
    end
  end
end

local function inherit_from(q, worker, most)
  local ready = 0
  local acks = space .. '__acks__.' .. worker .. '.' .. q.name
  for _, id in ipairs(redis.call('SMEMBERS', acks)) do
    ready = ready + give_back(q, id, true, most)
  end
  for _, id in ipairs(redis.call('SMEMBERS', acks .. '.DQ')) do
    redis.call('RPUSH', q.list .. '.DQ', id)
  end
  redis.call('DEL', acks, acks .. '.DQ')
  return ready
end

local function inherit(q, most)
  local ready = 0
  local all = redis.call('ZRANGE', signs, 0, -1, 'WITHSCORES')
  for i = 1, #all, 2 do
    local worker, sign = all[i], all[i + 1]
    local last, since = string.match(redis.call('HGET', seen, worker) or '', '^(%S+) (%d+)$')
    if last ~= sign then
      redis.call('HSET', seen, worker, sign .. ' ' .. now)
    elseif now - since > SILENT then
      ready = ready + inherit_from(q, worker, most)
      if now - since > FORGOTTEN then
        redis.call('ZREM', signs, worker)
        redis.call('HDEL', seen, worker)
      end
    end
  end
  return ready
end
