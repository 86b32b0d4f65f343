-- What all workers count together, in one step. Each call is about one key, so that it works in a cluster too; the time
-- is that of Redis, so that the clocks of machines may differ.
--
-- KEYS[1]  a list of the times of what was had, newest first; or, of what is held, a sorted set of holders by the time
--          at which each is given up unless it is heard of again
-- ARGV     what is asked; how much may be had; within how many microseconds; who holds it
-- Gives    how long to wait, 0 where it was had; how many more may be had; in how long there are more. Microseconds.
local key, asked = KEYS[1], ARGV[1]
local most, span = tonumber(ARGV[2]), tonumber(ARGV[3])
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]

if asked == 'hold' or asked == 'keep' then
  redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('%.0f', now))
  local left = most - redis.call('ZCARD', key)
  if asked == 'hold' and left <= 0 then
    return {-1, 0, 0}
  end
  redis.call('ZADD', key, string.format('%.0f', now + span), ARGV[4])
  redis.call('PEXPIRE', key, math.ceil(span / 1000))
  return {0, left - 1, 0}
end

local oldest = tonumber(redis.call('LINDEX', key, -1))
while oldest and oldest <= now - span do
  redis.call('RPOP', key)
  oldest = tonumber(redis.call('LINDEX', key, -1))
end
local left = most - redis.call('LLEN', key)
if left <= 0 then
  -- With a limit that was lowered meanwhile, more than one have to grow old.
  local wait = tonumber(redis.call('LINDEX', key, left - 1)) + span - now
  return {wait, 0, wait}
end
if asked == 'take' then
  redis.call('LPUSH', key, string.format('%.0f', now))
  redis.call('PEXPIRE', key, math.ceil(span / 1000))
  left = left - 1
end
return {0, left, (oldest or now) + span - now}
