-- Look a session up. KEYS: its entry. ARGV: the epoch that an entry must have; a token; seconds that a lease lasts.
-- An entry of another epoch is dropped. Where there is none, whoever asks first gets a lease under the token, and
-- may fill it; a write or a logout meanwhile takes the lease away. Answers the entry's fields.
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if epoch and epoch ~= ARGV[1] then
  redis.call('DEL', KEYS[1])
end
local entry = redis.call('HGETALL', KEYS[1])
if #entry == 0 then
  redis.call('HSET', KEYS[1], 'lease', ARGV[2])
  redis.call('EXPIRE', KEYS[1], ARGV[3])
  return {'lease', ARGV[2]}
end
return entry
