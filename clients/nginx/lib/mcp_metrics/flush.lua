-- The timer's work: sends what waits, batch by batch, and decides by the gateway's answer what becomes of each.
-- Only 200 is success. 408, 409, 425, 429, 5xx and broken connections keep the batch and send it again, with the same key and
-- the same bytes, so that it counts once; 400, 415 and 422 drop it, counted; 413 halves it; anything else waits for a person.
local cjson = require "cjson.safe"
local http = require "mcp_metrics.http"
local queue = require "mcp_metrics.queue"

local _M = {}

local SAY_AGAIN_SECONDS = 600
local LONGEST_WAIT = 3600
local BATCHES_AT_MOST = 20
local AGAIN = { [408] = true, [409] = true, [425] = true, [429] = true }
local REFUSED = { [400] = true, [415] = true, [422] = true }

local settings, head

function _M.setup(given)
  settings = given
  head = cjson.encode({ service = given.service, version = given.version, instance_id = given.instance_id })
  head = head:sub(1, -2) .. ',"metrics":['
end

local function say(kind, level, ...)
  if queue.first(kind, SAY_AGAIN_SECONDS) then ngx.log(level, "MCP metrics: ", ...) end
end

-- The first error, or the detail, of what the gateway answered.
local function reason(answer)
  local document = cjson.decode(answer.body)
  if type(document) ~= "table" then return "", 0 end
  local errors, rejected = document.errors, tonumber(document.rejected)
  local first = type(errors) == "table" and errors[1] or document.detail
  return type(first) == "string" and first:sub(1, 300) or "", rejected or 0
end

-- `Retry-After` in seconds, or as a date; nil where there is none.
local function retry_after(answer)
  local text = answer and answer.headers["retry-after"]
  if not text then return nil end
  local seconds = tonumber(text)
  if not seconds then
    local at = ngx.parse_http_time(text)
    seconds = at and at - ngx.time()
  end
  return seconds and math.min(math.max(seconds, 0), LONGEST_WAIT)
end

local function keep(answer, problem)
  local backoff = math.min(settings.retry_base * 2 ^ math.min(queue.failures(), 16), settings.retry_max)
  local wait = retry_after(answer)
  if wait then
    -- Never early, and not all at once.
    wait = wait + math.random() * math.min(1, backoff)
  else
    wait = backoff * (0.5 + math.random() / 2)
  end
  queue.pause(wait)
  say("kept", ngx.WARN, "the gateway cannot take them now (", problem, "); they are kept and sent again")
end

-- True where the next batch may follow at once.
local function settle(answer, problem, key, metrics)
  if not answer then
    keep(nil, problem)
    return false
  end
  local status = answer.status
  local text, rejected = reason(answer)
  if status == 200 then
    rejected = math.min(math.max(rejected, 0), metrics)
    queue.settle(key, metrics, rejected)
    if rejected > 0 then say("rejected", ngx.ERR, rejected, " of a batch rejected: ", text) end
    if queue.resume() then ngx.log(ngx.NOTICE, "MCP metrics: the gateway takes them again") end
    return true
  elseif REFUSED[status] or (status == 413 and metrics == 1) then
    queue.settle(key, metrics, metrics)
    say("refused", ngx.ERR, metrics, " refused with ", status, " for what is in them: ", text)
    queue.resume()
    return true
  elseif status == 413 then
    queue.halve(key, metrics)
    return true
  elseif AGAIN[status] or status >= 500 then
    keep(answer, status .. " " .. text)
  else
    queue.pause(settings.misconfigured_pause)
    say("misconfigured", ngx.ERR, "the gateway does not take them (", status, " ", text,
      "). Check METRICS_SERVICE_URL and METRICS_API_KEY; they are kept")
  end
  return false
end

local function send_one()
  local items, key = queue.batch(queue.new_key)
  if not items then return false end
  if queue.age() > settings.max_batch_age then
    queue.expire(key, #items)
    say("expired", ngx.ERR, #items, " are too old to be sent again and dropped")
    return true
  end
  queue.count("requests", 1)
  if queue.failures() > 0 then queue.count("retries", 1) end
  local answer, problem = http.post(settings, {
    ["Content-Type"] = "application/json",
    ["X-API-Key"] = settings.api_key,
    ["Idempotency-Key"] = key,
    ["User-Agent"] = "mcp-metrics-nginx",
  }, head .. table.concat(items, ",") .. "]}")
  return settle(answer, problem, key, #items)
end

-- Runs in each worker's timer, and once more (premature) as the worker ends: after a reload the queue lives on, but when all
-- of nginx stops this is the last chance.
function _M.run(premature)
  if queue.waiting() == 0 or not (premature or queue.may_try()) then return end
  local token = ngx.worker.pid() .. ":" .. ngx.now()
  if not queue.lock(token, settings.timeout * 4 + 1) then return end
  local ok, problem = pcall(function()
    for _ = 1, BATCHES_AT_MOST do
      if not send_one() then break end
      -- One lock per attempt, so that it outlasts none of them.
      queue.unlock(token)
      if not queue.lock(token, settings.timeout * 4 + 1) then break end
    end
  end)
  queue.unlock(token)
  if not ok then
    queue.pause(settings.retry_max)
    say("broken", ngx.ERR, "sending failed: ", problem)
  end
end

return _M
