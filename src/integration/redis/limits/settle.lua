-- Replaces what a charge took by what it cost.
--
-- KEYS: its key. ARGV: kind (0 bucket, 1 window), full, back (time or tokens that come back), more (that are taken
-- beyond), mark, only if it was the last (1 or 0), how far ahead a debt may lie, limit.

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local value = redis.pcall('GET', KEYS[1])
if type(value) ~= 'string' or #value > 40 then value = '' end

local kind, full, back, more = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local mark, last, ahead = tonumber(ARGV[5]), ARGV[6] == '1', tonumber(ARGV[7])

local function whole(digits)
  if digits and #digits <= 16 then return tonumber(digits) end
end

local function write(text, finish)
  if finish <= now then return redis.call('DEL', KEYS[1]) end
  return redis.call('SET', KEYS[1], text, 'PX', string.format('%.0f', math.ceil((finish - now) / 1000)))
end

if kind == 0 then
  local digits, blocked = string.match(value, '^(%d+)(b?)$')
  local tat = math.min(whole(digits) or 0, now + full + ahead)
  if blocked == 'b' or (last and tat ~= mark) then return 0 end
  if more > 0 then
    tat = math.min(math.max(tat, now) + more, now + full + ahead)
  else
    tat = tat - math.min(back, math.max(mark - now, 0))
  end
  if back > 0 and tat <= now and value == '' then return 0 end
  write(string.format('%.0f', tat), tat)
else
  local digits, count = string.match(value, '^(%d+):(%d+)$')
  local finish, used = whole(digits) or 0, whole(count)
  if not used or finish <= now then
    if more == 0 or string.find(value, 'b$') then return 0 end
    finish, used = now + full, 0
  elseif more == 0 and finish ~= mark then
    return 0
  end
  finish = math.min(finish, now + full)
  used = math.max(used + more - back, 0)
  write(string.format('%.0f', finish) .. ':' .. string.format('%.0f', used), finish)
end
return 1
