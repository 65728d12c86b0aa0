-- KEYS[1]: until when each is known, KEYS[2]: from when on a caller's tokens are good, both in milliseconds.
-- ARGV: who, until, from (empty for a token), where it is told, how many there may be. Returns whether there was room.

local function of_type(key, type)
  local is = redis.call('TYPE', key).ok
  if is ~= type and is ~= 'none' then
    redis.call('DEL', key)
  end
end
of_type(KEYS[1], 'zset')
of_type(KEYS[2], 'hash')

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, 100)) do
  redis.call('ZREM', KEYS[1], gone)
  redis.call('HDEL', KEYS[2], gone)
end

local who, ends, from = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local held = redis.call('ZSCORE', KEYS[1], who)
if not held and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[5]) then
  return 0
end
-- Beyond this lies no time that anybody gave.
local most = 4503599627370496
ends = math.min(most, math.max(ends, tonumber(held) or 0))
redis.call('ZADD', KEYS[1], string.format('%.0f', ends), who)
if from then
  from = math.max(from, tonumber(redis.call('HGET', KEYS[2], who)) or 0)
  redis.call('HSET', KEYS[2], who, string.format('%.0f', from))
end
local last = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]
for _, key in ipairs(KEYS) do
  redis.call('PEXPIREAT', key, string.format('%.0f', math.min(most, tonumber(last))))
end
redis.call('PUBLISH', ARGV[4], who .. ' ' .. string.format('%.0f', ends) .. ' ' .. (from and string.format('%.0f', from) or '-'))
return 1
