-- What workers that died had fetched goes back, or to the dead letters after too many deaths.
local function give_back(q, id, counts, most)
  if redis.call('HEXISTS', q.messages, id) == 0 then
    return 0
  end
  if counts then
    local deaths = redis.call('HINCRBY', q.deaths, id, 1)
    redis.call('EXPIRE', q.deaths, 2592000) -- seconds; Dramatiq's own workers do not tidy it
    if deaths >= most then
      bury(q, id, 'died')
      return 0
    end
  end
  return put_back(q, id)
end

local function is_alive(worker)
  local until_ = redis.call('ZSCORE', workers, worker)
  return until_ and tonumber(until_) >= now
end

local function recover(q, most)
  local ready = 0
  for _, worker in ipairs(redis.call('SMEMBERS', q.holders)) do
    if not is_alive(worker) then
      local held = redis.call('HGETALL', q.held .. worker)
      for i = #held - 1, 1, -2 do -- as it was fetched, where the server has kept that
        ready = ready + give_back(q, held[i], held[i + 1] ~= 'waits', most)
      end
      redis.call('DEL', q.held .. worker)
      redis.call('SREM', q.holders, worker)
    end
  end
  return ready
end
