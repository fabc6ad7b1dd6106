-- The queue in shared memory, which outlives workers and reloads: what waits, and the one batch that is on its way.
-- A batch keeps its idempotency key and, since it is the same items in the same order, its bytes, whoever sends it again.
local _M = {}

local WAITING, IN_FLIGHT, KEY, MADE_AT, LOCK = "waiting", "in_flight", "key", "made_at", "lock"
local COUNTS = { "recorded", "delivered", "rejected", "dropped", "requests", "retries", "unread" }

local dict, settings

function _M.setup(given)
  settings = given
  dict = ngx.shared[given.dict]
end

function _M.count(name, by)
  if by > 0 then dict:incr(name, by, 0) end
end

local function drop_oldest()
  if dict:lpop(WAITING) then
    _M.count("dropped", 1)
    return true
  end
  return false
end

-- Adds one encoded metric. At the limit, or without memory, the oldest go: by the length that each push is told, so that
-- workers pushing at once keep exactly the limit. Two go for one while a limit lowered by a reload is being reached.
function _M.push(item)
  _M.count("recorded", 1)
  local length = dict:rpush(WAITING, item)
  while not length do
    if not drop_oldest() then
      _M.count("dropped", 1)
      return
    end
    length = dict:rpush(WAITING, item)
  end
  if length > settings.max_queue then drop_oldest() end
  if length > settings.max_queue + ngx.worker.count() then drop_oldest() end
end

-- The lock lasts longer than an attempt may take, and dies with its time if its worker dies.
function _M.lock(token, seconds)
  return dict:add(LOCK, token, seconds)
end

function _M.unlock(token)
  if dict:get(LOCK) == token then dict:delete(LOCK) end
end

-- The batch to send: the one under way, else a new one off the queue. Only under the lock.
-- Returns its items and its idempotency key, or nil where nothing waits.
function _M.batch(new_key)
  local key = dict:get(KEY)
  if not key then
    for _ = dict:llen(IN_FLIGHT) + 1, settings.max_batch do
      local item = dict:lpop(WAITING)
      if not item then break end
      if not dict:rpush(IN_FLIGHT, item) then
        _M.count("dropped", 1)
        break
      end
    end
  end
  local size = dict:llen(IN_FLIGHT)
  if not size or size == 0 then
    dict:delete(KEY)
    return nil
  end
  if not key then
    key = new_key()
    dict:set(KEY, key)
    dict:set(MADE_AT, ngx.now())
  end
  -- The list has no way to look at it but to turn it round once.
  local items = {}
  for index = 1, size do
    items[index] = dict:lpop(IN_FLIGHT)
    dict:rpush(IN_FLIGHT, items[index])
  end
  return items, key
end

-- The batch of this key is done with: delivered, or refused for good. An attempt that outlived its lock finds another key.
function _M.settle(key, metrics, rejected)
  if dict:get(KEY) ~= key then return end
  dict:delete(IN_FLIGHT)
  dict:delete(KEY)
  _M.count("delivered", metrics - rejected)
  _M.count("rejected", rejected)
end

-- Seconds since the batch got its key.
function _M.age() return ngx.now() - (dict:get(MADE_AT) or ngx.now()) end

-- The batch of this key is too old to be sent again, since the gateway may have it and no longer know that.
function _M.expire(key, metrics)
  if dict:get(KEY) ~= key then return end
  dict:delete(IN_FLIGHT)
  dict:delete(KEY)
  _M.count("dropped", metrics)
end

-- The batch was too large: half of it goes back to the queue's head, and what is left is another batch, under a new key.
function _M.halve(key, metrics)
  if dict:get(KEY) ~= key then return end
  for _ = 1, math.ceil(metrics / 2) do
    local item = dict:rpop(IN_FLIGHT)
    if item and not dict:lpush(WAITING, item) then _M.count("dropped", 1) end
  end
  -- What remains under way is refilled no further: `batch` keeps a list that has a key as it is.
  dict:set(KEY, _M.new_key())
end

-- 32 hexadecimal digits from the system: LuaJIT's own random numbers are the same in every worker.
function _M.new_key()
  local source = assert(io.open("/dev/urandom", "rb"))
  local bytes = source:read(16)
  source:close()
  return (bytes:gsub(".", function(byte) return string.format("%02x", byte:byte()) end))
end

-- When the next attempt may be made, and how many have failed.
function _M.pause(seconds)
  dict:set("retry_at", ngx.now() + seconds)
  return dict:incr("failures", 1, 0)
end

function _M.resume()
  dict:delete("retry_at")
  local failures = dict:get("failures")
  dict:delete("failures")
  return failures
end

function _M.failures() return dict:get("failures") or 0 end

function _M.may_try() return ngx.now() >= (dict:get("retry_at") or 0) end

function _M.waiting() return (dict:llen(WAITING) or 0) + (dict:llen(IN_FLIGHT) or 0) end

-- True the first time in `seconds` for a kind of trouble, over all workers.
function _M.first(kind, seconds) return dict:add("said:" .. kind, true, seconds) end

function _M.stats()
  local stats = { queued = dict:llen(WAITING) or 0, in_flight = dict:llen(IN_FLIGHT) or 0 }
  for _, name in ipairs(COUNTS) do stats[name] = dict:get(name) or 0 end
  return stats
end

return _M
