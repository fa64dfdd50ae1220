-- ARGV: 4 what was spent in all, or -1; then, for each window, its number, how many buckets, and each bucket and its
-- amount, oldest first. Spans that are counted already stay as they are.

local account = open()
local at = 5
while ARGV[at] do
  local index, buckets = number(at), number(at + 1)
  at = at + 2
  local window = {h = math.floor(account.t / SHAPES[index][1]), s = 0, b = {}}
  for _ = 1, buckets do
    local bucket, amount = math.min(number(at), window.h), number(at + 1)
    at = at + 2
    if amount > 0 and bucket + SHAPES[index][2] >= window.h then
      local last = #window.b
      window.s = window.s + amount
      if last > 0 and window.b[last - 1] == bucket then
        window.b[last] = window.b[last] + amount
      else
        window.b[last + 1] = bucket
        window.b[last + 2] = amount
      end
    end
  end
  account.w[index] = account.w[index] or window
end
if ARGV[4] ~= '-1' then
  redis.call('SETNX', KEYS[2], ARGV[4])
end
save(account)
return 1
