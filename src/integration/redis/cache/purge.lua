-- ARGV[2]: where it is told. ARGV[3]: by whom. What follows: `h` or `s` for everything, `h12:<mark>` or `s12:<mark>` for a
-- mark and its place. Returns era and number.

number = number + 1
for at = 4, #ARGV do
  redis.call('HSET', ledger, string.match(ARGV[at], '^[hs]%d*'), number)
end
redis.call('HSET', ledger, 'number', number)
redis.call('PUBLISH', ARGV[2], era .. ' ' .. string.format('%.0f', number) .. ' ' .. table.concat(ARGV, ' ', 3))
return {era, number}
