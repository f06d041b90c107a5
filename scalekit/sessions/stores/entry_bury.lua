-- Set a tombstone: for its time, readers go to the database and nobody fills. KEYS: the entry. ARGV: seconds.
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'tombstone', '1')
redis.call('EXPIRE', KEYS[1], ARGV[1])
return 1
