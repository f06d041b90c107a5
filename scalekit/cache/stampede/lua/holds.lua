-- Shared by hold.lua and release.lua, which follow it: what is known of a name while transactions hold it.
local FACTS = 8 -- writes whose facts are remembered; older ones have long reached every replica

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function remember(facts, text)
  if text == '' then return end
  for _, known in ipairs(facts) do
    if known == text then return end
  end
  table.insert(facts, text)
  if #facts > FACTS then table.remove(facts, 1) end
end

local function decoded(text)
  local fine, known = pcall(cjson.decode, text)
  return fine and type(known) == 'table' and known or {}
end

-- Only what these scripts write: whoever can write to the cache shall not stop a writer's word by it.
local function facts_of(known)
  local facts = {}
  for _, text in ipairs(type(known) == 'table' and known or {}) do
    if type(text) == 'string' and #facts < FACTS then table.insert(facts, text) end
  end
  return facts
end

local function moment(known) -- ms
  return type(known) == 'number' and known >= 0 and known < 1e14 and math.floor(known) or nil
end

local function state_of(known)
  if type(known.holders) ~= 'table' then return nil end
  local state = {holders = {}, changed = known.changed == true, facts = facts_of(known.facts), ends = moment(known.ends) or 0}
  for holder, deadline in pairs(known.holders) do
    if type(holder) == 'string' then state.holders[holder] = moment(deadline) end
  end
  return state
end

-- What a name is like: its holders with their deadlines, the facts, and what becomes valid again after a rollback.
local function examine(name)
  local state = {holders = {}, changed = false, facts = {}, ends = 0}
  local stored = redis.pcall('GET', name)
  if type(stored) ~= 'string' then stored = false end -- nothing, or something that is no string
  local kind = stored and string.sub(stored, 1, 4)
  local rest = ''
  if kind == 'Hsk\1' then
    local size = tonumber(string.sub(stored, 5, 12), 16) or 0
    local known = state_of(decoded(string.sub(stored, 13, 12 + size)))
    if known then
      return known, string.sub(stored, 13 + size), kind
    end
  elseif kind == 'Vsk\1' then
    rest = stored
  elseif kind == 'Ssk\1' then
    rest = string.sub(stored, 1, 12)
    state.facts = facts_of(decoded(string.sub(stored, 13)))
  elseif kind == 'Lsk\1' then
    state.facts = facts_of(decoded(string.sub(stored, 21)))
  end
  if rest ~= '' then
    local left = redis.call('PTTL', name)
    state.ends = left < 0 and 0 or now + left
  end
  return state, rest, kind
end

-- A holder that outlived its deadline died, perhaps between its COMMIT and its word of it: assume the change.
local function bury(state)
  for holder, deadline in pairs(state.holders) do
    if deadline <= now then
      state.holders[holder] = nil
      state.changed = true
    end
  end
end

-- Store, or at least remove what was there: a server without memory left refuses the one, never the other.
local function set(name, value, ms)
  local answer = ms == 0 and redis.pcall('SET', name, value) or redis.pcall('SET', name, value, 'PX', ms)
  if type(answer) == 'table' and answer.err then
    redis.call('DEL', name)
    return 0
  end
  return 1
end

local function keep_holding(name, state, rest)
  local last = 0
  for _, deadline in pairs(state.holders) do
    last = math.max(last, deadline)
  end
  if state.changed then rest = '' end
  local text = cjson.encode(state)
  return set(name, 'Hsk\1' .. string.format('%08x', #text) .. text .. rest, math.max(1, last - now))
end


-- The last holder has gone: a new stamp if anything changed, else what was there before.
local function finish(name, state, rest, random, ms)
  local facts = #state.facts > 0 and cjson.encode(state.facts) or ''
  if state.changed or rest == '' or (state.ends > 0 and state.ends <= now) then
    if facts == '' then
      redis.call('DEL', name)
    else
      set(name, 'Ssk\1' .. random .. facts, ms)
    end
    return
  end
  if string.sub(rest, 1, 1) == 'S' then rest = rest .. facts end
  set(name, rest, state.ends > 0 and state.ends - now or 0)
end
