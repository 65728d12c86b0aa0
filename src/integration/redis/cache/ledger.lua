-- The ledger of purges: its era, how many there were, and the numbers of the last ones, by place: `h12` is that of the
-- last hard one, `s12` of the last soft one; `h` and `s` are those of everything. One that is lost, or is none, begins
-- another era: then nothing is good that was put before.
-- ARGV[1]: the era that would begin.

local ledger = KEYS[1]

-- A whole number, or nil.
local function whole(text)
  local value = text and tonumber(text)
  if value and value >= 0 and value < 9007199254740992 and value == math.floor(value) then
    return value
  end
end

local head = redis.pcall('HMGET', ledger, 'era', 'number')
local era = not head.err and head[1]
local number = not head.err and whole(head[2])
if not era or not number or #era ~= 16 or not string.match(era, '^%x+$') then
  era, number = ARGV[1], 0
  redis.call('DEL', ledger)
  redis.call('HSET', ledger, 'era', era, 'number', 0)
end

-- The numbers of the last purges of what stands at these places.
local function purged(places)
  local fields = {'h', 's'}
  for place in string.gmatch(places, '%d+') do
    fields[#fields + 1] = 'h' .. place
    fields[#fields + 1] = 's' .. place
    if #fields > 4096 then
      break
    end
  end
  local last = redis.call('HMGET', ledger, unpack(fields))
  local hard, soft = 0, 0
  for at = 1, #fields, 2 do
    -- What is no number may have been any.
    hard = math.max(hard, last[at] and (whole(last[at]) or number) or 0)
    soft = math.max(soft, last[at + 1] and (whole(last[at + 1]) or number) or 0)
  end
  return hard, soft
end

local function now()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

