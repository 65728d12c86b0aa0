-- What is known, those first that are known for the longest. ARGV: the first and the last of the page. Returns messages as
-- they are told.

local listed = redis.pcall('ZREVRANGE', KEYS[1], ARGV[1], ARGV[2], 'WITHSCORES')
local told = {}
if listed.err then
  return told
end
for at = 1, #listed, 2 do
  local from = redis.pcall('HGET', KEYS[2], listed[at])
  told[#told + 1] = listed[at] .. ' ' .. listed[at + 1] .. ' ' .. (type(from) == 'string' and from or '-')
end
return told
