-- Asks for all that a request needs, then charges all or none. Time is the server's, in whole microseconds.
--
-- KEYS: one for each ask. ARGV: 11 numbers for each: kind (0 bucket, 1 window), need (time that the tokens take; for
-- windows the tokens), one (time of one token; for windows the limit), full (time of all; for windows the window),
-- cost, spare, kept back, longest wait, block, enforced (1 or 0), how far ahead a charge may lie. One more at the end:
-- whether what stands elsewhere agrees so far (1), else nothing is charged (0).
--
-- Answers, for each: code (0 admitted, 1 refused, 2 shut out), wait, time until all is there, tokens left, time until
-- one more is there, tokens given along, mark.
--
-- A value is a TAT, or `end:count`; a `b` at its end says that it is shut out. What is anything else was written by
-- somebody else, and says nothing. What is further ahead than it can be, by another quota or another clock, is cut to a
-- bucket that is used up, and written so: else it would be further ahead for ever.

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])

local function held(key)
  local value = redis.pcall('GET', key)
  if type(value) == 'string' and #value <= 40 then return value end
  return ''
end

local function whole(digits)
  if digits and #digits <= 16 then return tonumber(digits) end
end

local function bucket(value, a)
  local digits, mark = string.match(value, '^(%d+)(b?)$')
  local tat = whole(digits) or 0
  local blocked = mark == 'b'
  local most = now + a.full + (blocked and math.max(a.block, a.ahead) or a.ahead)
  local cut = tat > most
  tat = math.min(tat, most)
  local slack = a.full - a.one
  -- All that may be set, so that the table does not grow.
  local judged = {
    tat = tat, cut = cut, write = false, code = 0, wait = 0, spare = 0, blocked = blocked,
    next = 0, next_blocked = false, shuts = false,
  }
  if blocked and now < tat - slack then
    judged.code, judged.wait = 2, tat - slack - now + a.one * (math.max(a.cost, 1) - 1)
    return judged
  end
  local base = math.max(tat, now)
  if a.cost == 0 then
    if now < tat - slack then judged.code, judged.wait = 1, tat - slack - now end
    return judged
  end
  local next = base + a.need
  local room = now + a.full - a.kept - next
  if room >= 0 or -room <= a.longest then
    judged.wait = math.max(-room, 0)
    if a.spare > 0 and room > 0 then
      judged.spare = math.min(a.spare, math.floor(math.floor(room / a.one) / 4))
      next = next + judged.spare * a.one
    end
    judged.next, judged.next_blocked, judged.write = next, false, true
  else
    judged.code, judged.wait = 1, -room
    if a.block > 0 and not blocked then
      judged.next, judged.next_blocked = math.max(now + a.block + slack, tat), true
      judged.shuts, judged.code = true, 2
      judged.wait = judged.next - slack - now + a.one * (a.cost - 1)
    end
  end
  return judged
end

local function window(value, a)
  local digits, count = string.match(value, '^(%d+):([%db]+)$')
  local finish, used = whole(digits) or 0, count == 'b' and count or whole(count)
  local longest = used == 'b' and math.max(a.block, a.full) or a.full
  if not used or finish <= now then finish, used = now + a.full, 0 end
  local cut = finish > now + longest
  finish = math.min(finish, now + longest)
  local judged = {
    finish = finish, used = used, cut = cut, write = false, code = 0, wait = 0, spare = 0,
    next = 0, next_used = 0, shuts = false,
  }
  if used == 'b' then
    judged.code, judged.wait = 2, finish - now
  elseif used + math.max(a.cost, 1) > a.one then
    judged.code, judged.wait = 1, finish - now
    if a.block > 0 then
      judged.code, judged.shuts = 2, true
      judged.next, judged.next_used = math.max(finish, now + a.block), 'b'
      judged.wait = judged.next - now
    end
  elseif a.cost > 0 then
    judged.spare = math.min(a.spare, math.floor((a.one - used - a.cost) / 4))
    judged.next, judged.next_used, judged.write = finish, used + a.cost + judged.spare, true
  end
  return judged
end

local function write(key, value, finish)
  redis.call('SET', key, value, 'PX', string.format('%.0f', math.max(math.ceil((finish - now) / 1000), 1)))
end

local asks, agreed = {}, ARGV[#KEYS * 11 + 1] == '1'
for i, key in ipairs(KEYS) do
  local at = (i - 1) * 11
  local a = {
    kind = tonumber(ARGV[at + 1]), need = tonumber(ARGV[at + 2]), one = tonumber(ARGV[at + 3]),
    full = tonumber(ARGV[at + 4]), cost = tonumber(ARGV[at + 5]), spare = tonumber(ARGV[at + 6]),
    kept = tonumber(ARGV[at + 7]), longest = tonumber(ARGV[at + 8]), block = tonumber(ARGV[at + 9]),
    enforced = ARGV[at + 10] == '1', ahead = tonumber(ARGV[at + 11]), judged = false,
  }
  a.judged = (a.kind == 0 and bucket or window)(held(key), a)
  if a.judged.code ~= 0 and a.enforced then agreed = false end
  asks[i] = a
end

local answers = {}
for i, key in ipairs(KEYS) do
  local a, judged = asks[i], asks[i].judged
  local writes = judged.shuts or (judged.write and agreed)
  local spare = agreed and judged.spare or 0
  if a.kind == 0 then
    local tat = judged.tat
    if writes then
      tat = judged.next
      write(key, string.format('%.0f', tat) .. (judged.next_blocked and 'b' or ''), tat)
    elseif judged.cut then
      write(key, string.format('%.0f', tat) .. (judged.blocked and 'b' or ''), tat)
    end
    local debt = math.max(tat - now, 0)
    local free = math.max(a.full - debt, 0)
    local left = math.floor(free / a.one)
    local more = 0
    if debt > a.full then
      more = debt - a.full + a.one
    elseif debt > 0 then
      more = a.one - free % a.one
    end
    answers[i] = { judged.code, judged.wait, debt, left, more, spare, tat }
  else
    local finish, used = judged.finish, judged.used
    if writes then finish, used = judged.next, judged.next_used end
    if writes or judged.cut then
      local ends = string.format('%.0f', finish)
      write(key, ends .. ':' .. (used == 'b' and used or string.format('%.0f', used)), finish)
    end
    local left = used == 'b' and 0 or math.max(a.one - used, 0)
    local rest = used == 0 and 0 or finish - now
    answers[i] = { judged.code, judged.wait, rest, left, rest, spare, finish }
  end
end
return answers
