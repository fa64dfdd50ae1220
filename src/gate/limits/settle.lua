-- ARGV: 4 tokens; 5 spend; 6 requests that were not counted here. Answers 1, or 0: it was settled already.

if not redis.call('SET', KEYS[5], '1', 'NX', 'PX', 60000) then
  return 0
end
local account, _, known = open()
if number(5) > 0 and redis.call('EXISTS', KEYS[2]) == 1 then
  redis.call('INCRBY', KEYS[2], ARGV[5])
end
-- All was lost, or forgotten: who asks for this account next tells what it has used, this too.
if not known then
  return 1
end
local held = redis.call('HGET', KEYS[3], ARGV[3])
if held then
  redis.call('HDEL', KEYS[3], ARGV[3])
  local holds = account.g[ARGV[2]]
  if holds then
    local i = 0
    for amount in string.gmatch(held, '%d+') do
      i = i + 1
      holds[i] = math.max(0, holds[i] - tonumber(amount))
    end
    if holds[1] == 0 and holds[2] == 0 and holds[3] == 0 then
      account.g[ARGV[2]] = nil
    end
  end
end
local requests = held and 0 or number(6)
local amounts = {requests, requests, requests, requests, number(4), number(5), number(5), number(5), number(5)}
for index, window in pairs(account.w) do
  if amounts[index] > 0 then
    add(window, amounts[index])
  end
end
save(account)
return 1
