-- KEYS[2], KEYS[3]: the record, the claim on it. ARGV[2]: the most bytes. ARGV[3], ARGV[4]: a token, or none, and its
-- lease in milliseconds. Returns era, number, turn (0 none, 1 yours, 2 taken, 3 declined), whether it is stale, the record,
-- and how long it was before it was packed, if it is.

local kept = redis.pcall('HMGET', KEYS[2], 'era', 'begun', 'fresh', 'places', 'whole')
local record, packed, is_stale, is_fresh = false, false, false, false
local begun = not kept.err and kept[1] == era and kept[4] and whole(kept[2])
if begun then
  local hard, soft = purged(kept[4])
  if hard > begun or begun > number then
    redis.call('UNLINK', KEYS[2])
  elseif math.max(redis.call('HSTRLEN', KEYS[2], 'record'), whole(kept[5]) or 0) <= tonumber(ARGV[2]) then
    record = redis.call('HGET', KEYS[2], 'record')
    -- What is no length is none that a record can have.
    packed = kept[5] and string.format('%.0f', whole(kept[5]) or 0)
    -- The server's clock counts: that of who reads may be behind.
    is_stale = soft > begun or now() >= (whole(kept[3]) or 0)
    is_fresh = record and not is_stale
  end
end

local turn = 0
if ARGV[3] ~= '' and not is_fresh then
  local held = redis.pcall('GET', KEYS[3])
  local left = redis.call('PTTL', KEYS[3])
  -- What has no end, or none that was ever given, is nobody's.
  if type(held) ~= 'string' or left < 0 or left > 60000 then
    held = false
  end
  if held == 'declined' then
    turn = 3
  elseif held and held ~= ARGV[3] then
    turn = 2
  else
    local set = redis.pcall('SET', KEYS[3], ARGV[3], 'PX', ARGV[4])
    -- Without room for a claim everybody fetches for itself.
    turn = set.err and 3 or 1
  end
end

return {era, number, turn, is_stale and 1 or 0, record, packed}
