-- What account.rs does, in Redis. One account:
--   KEYS[1]  its windows, and what each gateway holds: {t = time, w = windows, g = gateways}
--   KEYS[2]  what it has spent in all; never expires
--   KEYS[3]  the reservations of the gateway that asks, by id
--   KEYS[4]  what the key of a gateway that lives begins with
--   KEYS[5]  set when this reservation was settled
-- ARGV[1] is the time in ms, or 0 for the server's own; ARGV[2] the gateway; ARGV[3] the reservation.
-- A window is {h = latest bucket, s = sum, b = {bucket, amount, bucket, amount, …}}, oldest first.
-- Numbers are doubles here, exact to 2^53; amounts are nanodollars.

local SHAPES = {
  {1000, 60}, {300000, 60}, {1800000, 48}, {10800000, 56},
  {1000, 60},
  {300000, 60}, {1800000, 48}, {10800000, 56}, {43200000, 60},
}
local TOKENS = 5
local KEEP_MS = 35 * 86400000
local LIVE_MS = 10000
local SET_BACK_MS = 10000

local function number(index)
  return tonumber(ARGV[index])
end

-- The account, its time gone on to now.
local function open()
  local now = number(1)
  if now == 0 then
    local time = redis.call('TIME')
    now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  end
  local raw = redis.call('GET', KEYS[1])
  local account = raw and cmsgpack.unpack(raw) or {t = now, w = {}, g = {}}
  local set_back = now + SET_BACK_MS < account.t
  if not set_back then
    now = math.max(now, account.t)
  end
  account.t = now
  for index, window in pairs(account.w) do
    local to = math.floor(now / SHAPES[index][1])
    if set_back then
      for i = 1, #window.b, 2 do
        window.b[i] = window.b[i] + to - window.h
      end
    else
      local left = {}
      for i = 1, #window.b, 2 do
        if window.b[i] + SHAPES[index][2] >= to then
          left[#left + 1] = window.b[i]
          left[#left + 1] = window.b[i + 1]
        else
          window.s = window.s - window.b[i + 1]
        end
      end
      window.b = left
    end
    window.h = to
  end
  return account, now, raw ~= false
end

local function save(account)
  redis.call('SET', KEYS[1], cmsgpack.pack(account), 'PX', KEEP_MS)
end

-- Spans are counted from when they are limited first; `limited(i)` says whether the i-th is, 10 is spend in all.
local function count_from_now(account, limited)
  for index, shape in ipairs(SHAPES) do
    if limited(index) and not account.w[index] then
      account.w[index] = {h = math.floor(account.t / shape[1]), s = 0, b = {}}
    end
  end
  if limited(10) then
    redis.call('SETNX', KEYS[2], '0')
  end
end

local function add(window, amount)
  local last = #window.b
  window.s = window.s + amount
  if last > 0 and window.b[last - 1] == window.h then
    window.b[last] = window.b[last] + amount
  else
    window.b[last + 1] = window.h
    window.b[last + 2] = amount
  end
end
