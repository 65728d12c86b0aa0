-- KEYS[2]: the record. ARGV[2], ARGV[3]: the era and the number when its fill began. ARGV[4], ARGV[5]: for how long it is of
-- use, and fresh, in milliseconds. ARGV[6]: its places. ARGV[7]: the record. ARGV[8]: how long it was before it was packed,
-- if it was. Returns whether it is kept.

local begun = whole(ARGV[3])
if ARGV[2] ~= era or not begun or begun > number or purged(ARGV[6]) > begun then
  return 0
end
redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[2], 'era', era, 'begun', ARGV[3], 'fresh', string.format('%.0f', now() + tonumber(ARGV[5])),
  'places', ARGV[6], 'record', ARGV[7])
if ARGV[8] ~= '' then
  redis.call('HSET', KEYS[2], 'whole', ARGV[8])
end
redis.call('PEXPIRE', KEYS[2], ARGV[4])
return 1
