"""The script that counts in Valkey, and what it and the counters in memory agree on.

A counter is a hash. Of requests and tokens: slot of time → what was taken in it. Of calls at once: process →
`count:expiry in ms`.
"""

from gateway.bounds import DAY, MINUTE

SLOT_MS = {MINUTE: 500, DAY: 600_000}
SLOTS = {MINUTE: 120, DAY: 144}
LEASE_S = 15

# what a group of calls that ask for the same is told: how many are admitted, then for each limit: what is
# left, in how many ms the oldest falls out, in how many ms there is room for one more call (-1: never)
Answer = list[int]


def slot_at(kind: str, now_ms: int) -> int:
    return now_ms // SLOT_MS[kind]


# KEYS: the counters, group after group, then those of what goes back. ARGV: now in ms, the process, the
# number of groups; for each group how many ask, its number of counters, and for each of them kind, weight
# and limit; then for each that goes back: kind, slot and amount, or (calls at once) 0 and how many the
# process has in work.
SCRIPT = """
local now, me = tonumber(ARGV[1]), ARGV[2]
local counters = {}

local function read_leases(key, counter)
  local flat, old = redis.call('HGETALL', key), {}
  counter.mine = 0
  for i = 1, #flat, 2 do
    local count, expiry = string.match(flat[i + 1], '(%d+):(%d+)')
    if tonumber(expiry) <= now then old[#old + 1] = flat[i]
    else
      counter.used = counter.used + tonumber(count)
      if flat[i] == me then counter.mine = tonumber(count) end
    end
  end
  if #old > 0 then redis.call('HDEL', key, unpack(old)) end
end

local function read_slots(key, counter, width, slots)
  local flat, old = redis.call('HGETALL', key), {}
  counter.flat, counter.slot = flat, math.floor(now / width)
  counter.oldest = counter.slot
  for i = 1, #flat, 2 do
    local slot = tonumber(flat[i])
    if slot <= counter.slot - slots then old[#old + 1] = flat[i]
    else
      counter.used = counter.used + tonumber(flat[i + 1])
      if slot < counter.oldest then counter.oldest = slot end
    end
  end
  if #old > 0 then redis.call('HDEL', key, unpack(old)) end
end

local function read(key, kind)
  local counter = counters[key]
  if counter then return counter end
  counter = {used = 0}
  if kind == 'c' then read_leases(key, counter)
  else
    if kind == 'm' then counter.width, counter.slots = MINUTE_MS, MINUTE_SLOTS
    else counter.width, counter.slots = DAY_MS, DAY_SLOTS end
    read_slots(key, counter, counter.width, counter.slots)
  end
  counters[key] = counter
  return counter
end

local function set_leases(key, count)
  if count > 0 then
    redis.call('HSET', key, me, string.format('%d:%.0f', count, now + LEASE_MS))
    redis.call('PEXPIRE', key, LEASE_MS)
  else redis.call('HDEL', key, me) end
end

local function take(key, counter, amount)
  counter.used = counter.used + amount
  if counter.mine then
    counter.mine = counter.mine + amount
    set_leases(key, counter.mine)
  else
    redis.call('HINCRBY', key, counter.slot, amount)
    redis.call('EXPIRE', key, math.ceil(counter.width * (counter.slots + 1) / 1000))
  end
end

local function wait(counter, weight, limit)
  if weight > limit then return -1 end
  if counter.mine then return 1000 end
  local slots, over = {}, counter.used + weight - limit
  for i = 1, #counter.flat, 2 do
    local slot = tonumber(counter.flat[i])
    if slot > counter.slot - counter.slots then slots[#slots + 1] = {slot, tonumber(counter.flat[i + 1])} end
  end
  table.sort(slots, function(a, b) return a[1] < b[1] end)
  for _, entry in ipairs(slots) do
    over = over - entry[2]
    if over <= 0 then return (entry[1] + counter.slots) * counter.width - now end
  end
  return counter.slots * counter.width
end

-- first what goes back, so that there is room for who asks now
local key, arg, groups = 1, 4, tonumber(ARGV[3])
local group_arg = 4
for _ = 1, groups do
  local count = tonumber(ARGV[arg + 1])
  key, arg = key + count, arg + 2 + 3 * count
end
while arg <= #ARGV do
  if ARGV[arg] == 'c' then set_leases(KEYS[key], tonumber(ARGV[arg + 2]))
  elseif redis.call('HINCRBY', KEYS[key], ARGV[arg + 1], -tonumber(ARGV[arg + 2])) <= 0 then
    redis.call('HDEL', KEYS[key], ARGV[arg + 1])
  else
    redis.call('EXPIRE', KEYS[key], ARGV[arg] == 'm' and MINUTE_S or DAY_S)
  end
  key, arg = key + 1, arg + 3
end

local out = {}
key, arg = 1, group_arg
for group = 1, groups do
  local asked, count = tonumber(ARGV[arg]), tonumber(ARGV[arg + 1])
  local admitted = asked
  for i = 0, count - 1 do
    local base = arg + 2 + 3 * i
    local weight = tonumber(ARGV[base + 1])
    if weight > 0 then
      local room = tonumber(ARGV[base + 2]) - read(KEYS[key + i], ARGV[base]).used
      admitted = math.max(0, math.min(admitted, math.floor(room / weight)))
    end
  end
  local row = {admitted}
  for i = 0, count - 1 do
    local base = arg + 2 + 3 * i
    local weight, limit = tonumber(ARGV[base + 1]), tonumber(ARGV[base + 2])
    local counter = read(KEYS[key + i], ARGV[base])
    if admitted > 0 and weight > 0 then take(KEYS[key + i], counter, admitted * weight) end
    row[#row + 1] = limit - counter.used
    row[#row + 1] = counter.mine and 0 or (counter.oldest + counter.slots) * counter.width - now
    row[#row + 1] = admitted < asked and counter.used + weight > limit and wait(counter, weight, limit) or 0
  end
  out[group] = row
  key, arg = key + count, arg + 2 + 3 * count
end
return out
"""
for _name, _value in {
    "MINUTE_MS": SLOT_MS[MINUTE],
    "MINUTE_SLOTS": SLOTS[MINUTE],
    "MINUTE_S": 61,
    "DAY_MS": SLOT_MS[DAY],
    "DAY_SLOTS": SLOTS[DAY],
    "DAY_S": 87_000,
    "LEASE_MS": LEASE_S * 1000,
}.items():
    SCRIPT = SCRIPT.replace(_name, str(_value))
