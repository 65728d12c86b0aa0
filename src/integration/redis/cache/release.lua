-- KEYS[1]: a claim. ARGV[1]: its token. ARGV[2]: whether what was fetched is for nobody else, which is then known for so
-- many milliseconds.

local held = redis.pcall('GET', KEYS[1])
if held ~= ARGV[1] then
  return 0
end
if ARGV[2] == '0' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], 'declined', 'PX', ARGV[2])
end
return 1
