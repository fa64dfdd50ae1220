-- ARGV: 4 counts; 5-13 caps of the windows, 14 of spend in all, 15 of places (-1: none); 16, 17 tokens: most, least;
-- 18, 19 spend; 20 unpriced. Answers {1, tokens, spend, standing…}, {0, limit, cap, retry, too large, used up, standing…},
-- {2}: settled already, or {3}: the account is not known, and wants to be told what it has used.

if redis.call('EXISTS', KEYS[5]) == 1 then
  return {2}
end
local account, now, known = open()
if not known then
  return {3}
end
local counts, total_cap = number(4) == 1, number(14)
local function cap(index)
  return number(4 + index)
end
count_from_now(account, function(index) return cap(index) >= 0 end)
redis.call('SET', KEYS[4] .. ARGV[2], '1', 'PX', LIVE_MS)

-- What gateways hold that live.
local held = {0, 0, 0}
for gateway, holds in pairs(account.g) do
  if gateway == ARGV[2] or redis.call('EXISTS', KEYS[4] .. gateway) == 1 then
    for i = 1, 3 do
      held[i] = held[i] + holds[i]
    end
  else
    account.g[gateway] = nil
    redis.call('UNLINK', KEYS[1] .. ':held:' .. gateway)
  end
end
local total = tonumber(redis.call('GET', KEYS[2]) or '0')

local function leaves(index, bucket)
  return (bucket + 1 + SHAPES[index][2]) * SHAPES[index][1] - now
end

-- The one that lasts longest; the first of those that last as long. -1 lasts for ever.
local worst
local function note(limit, max, retry, too_large, used_up)
  if not worst or (worst[3] ~= -1 and (retry == -1 or retry > worst[3])) then
    worst = {limit, max, retry, too_large and 1 or 0, used_up and 1 or 0}
  end
end

local function left(max, used, holds)
  return math.max(0, math.max(0, max - used) - holds)
end

local function check(index, need, holds)
  local max, window = cap(index), account.w[index]
  if max < 0 or need <= left(max, window.s, holds) then
    return
  end
  if need > max then
    note(index, max, -1, true, false)
  elseif need <= max - window.s then
    note(index, max, 1000, false, false)
  else
    local excess, freed = window.s - (max - need), 0
    for i = 1, #window.b, 2 do
      freed = freed + window.b[i + 1]
      if freed >= excess then
        note(index, max, leaves(index, window.b[i]), false, true)
        return
      end
    end
  end
end

-- What to reserve, or nil: not even the least fits.
local function room(first, last, most, least, holds, with_total)
  if most == 0 then
    return 0
  end
  local free = math.huge
  for index = first, last do
    if cap(index) >= 0 then
      free = math.min(free, left(cap(index), account.w[index].s, holds))
    end
  end
  if with_total and total_cap >= 0 then
    free = math.min(free, left(total_cap, total, holds))
  end
  if most <= free then
    return most
  end
  return least <= free and free or nil
end

-- Limits are numbered as the windows are; 10 spend in all, 11 places, 12 unpriced.
if number(20) == 1 then
  note(12, 0, -1, false, false)
end
if counts then
  if number(15) >= 0 and held[1] >= number(15) then
    note(11, number(15), 1000, false, false)
  end
  for index = 1, 4 do
    check(index, 1, 0)
  end
end
local tokens = room(TOKENS, TOKENS, number(16), number(17), held[2], false)
if not tokens then
  check(TOKENS, number(17), held[2])
end
local spend = room(TOKENS + 1, 9, number(18), number(19), held[3], true)
if not spend then
  local need = number(19)
  if total_cap >= 0 and need > left(total_cap, total, held[3]) then
    local too_large = need > total_cap
    local used_up = not too_large and need > total_cap - total
    note(10, total_cap, (too_large or used_up) and -1 or 1000, too_large, used_up)
  end
  for index = TOKENS + 1, 9 do
    check(index, need, held[3])
  end
end

local answer
if worst then
  answer = {0, unpack(worst)}
else
  local places = counts and 1 or 0
  if counts then
    for index = 1, 4 do
      if account.w[index] then
        add(account.w[index], 1)
      end
    end
  end
  local holds = account.g[ARGV[2]] or {0, 0, 0}
  account.g[ARGV[2]] = {holds[1] + places, holds[2] + tokens, holds[3] + spend}
  held[2] = held[2] + tokens
  redis.call('HSET', KEYS[3], ARGV[3], string.format('%d:%.0f:%.0f', places, tokens, spend))
  redis.call('PEXPIRE', KEYS[3], KEEP_MS)
  answer = {1, tokens, spend}
end
save(account)

local function resets(index)
  local window = account.w[index]
  return #window.b == 0 and 0 or leaves(index, window.b[#window.b - 1])
end

-- The tightest window of requests, then tokens: cap or -1, what is left, when it is back.
local standing = {-1, 0, 0, -1, 0, 0}
for index = 1, 4 do
  if cap(index) >= 0 then
    local remaining, reset = left(cap(index), account.w[index].s, 0), resets(index)
    if standing[1] == -1 or remaining < standing[2] or (remaining == standing[2] and reset > standing[3]) then
      standing[1], standing[2], standing[3] = cap(index), remaining, reset
    end
  end
end
if cap(TOKENS) >= 0 then
  standing[4] = cap(TOKENS)
  standing[5] = left(cap(TOKENS), account.w[TOKENS].s, held[2])
  standing[6] = held[2] > 0 and leaves(TOKENS, account.w[TOKENS].h) or resets(TOKENS)
end
for _, number in ipairs(standing) do
  answer[#answer + 1] = number
end
return answer
