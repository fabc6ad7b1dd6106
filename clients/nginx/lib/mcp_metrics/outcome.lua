-- What is inside the answers: a JSON-RPC error, or a result that says isError, is a failure although the status is 200.
-- The body filter looks at an answer, plain JSON or an event stream, as it passes; what passes is not touched.
local cjson = require "cjson.safe"
local events = require "mcp_metrics.events"

local _M = {}

local ANSWERS_AT_MOST = 50
local TAIL = 200

local limit = 65536

function _M.setup(settings) limit = settings.max_body_bytes end

local function add(seen, message)
  if type(message) ~= "table" then return end
  if message[1] then
    for _, one in ipairs(message) do add(seen, one) end
  elseif message.id ~= nil and (message.result ~= nil or message.error ~= nil) and seen.count < ANSWERS_AT_MOST then
    seen.answers[message.id] = message
    seen.count = seen.count + 1
  end
end

local function begin()
  local seen = { answers = {}, count = 0, size = 0, tail = "" }
  -- The upstream's: an answer that nginx itself compresses passes here before.
  if ngx.var.upstream_http_content_encoding then
    seen.unreadable = true
  elseif (ngx.header["Content-Type"] or ""):find("text/event-stream", 1, true) then
    seen.events = events.new(limit, function(data) add(seen, (cjson.decode(data))) end)
  else
    seen.parts = {}
  end
  return seen
end

-- Call for each piece of the answer.
function _M.keep()
  if ngx.req.get_method() ~= "POST" then return end
  local seen = ngx.ctx.mcp_metrics_answer
  if not seen then
    seen = begin()
    ngx.ctx.mcp_metrics_answer = seen
  end
  local piece = ngx.arg[1]
  if not piece or piece == "" or seen.unreadable then return end
  if seen.events then return events.feed(seen.events, piece) end
  seen.size = seen.size + #piece
  if seen.size <= limit then
    seen.parts[#seen.parts + 1] = piece
  else
    -- Too long to be read whole: its beginning and its end are where a result says whether it is an error.
    seen.head = seen.head or (table.concat(seen.parts) .. piece):sub(1, TAIL)
    seen.parts = {}
    seen.tail = (seen.tail .. piece):sub(-TAIL)
  end
end

-- The outcome of an answer too long to be read. Quotes inside of texts are escaped, so what looks like a member is one.
local function of_long(seen)
  if seen.head:find('^%s*{[^{]*"result"%s*:%s*{%s*"isError"%s*:%s*true') or seen.tail:find('"isError"%s*:%s*true%s*}%s*[,}]') then
    return { result = { isError = true } }
  end
  return { result = {} }
end

-- The JSON-RPC answers by id; empty where nothing is known: no body filter, a compressed answer. `only`: the request's id
-- where there is but one, so that an answer too long to be read is its.
function _M.answers(only)
  local seen = ngx.ctx.mcp_metrics_answer
  if not seen or seen.unreadable then return {} end
  if seen.events then
    events.finish(seen.events)
  elseif seen.head then
    return only ~= nil and { [only] = of_long(seen) } or {}
  else
    add(seen, (cjson.decode(table.concat(seen.parts))))
  end
  return seen.answers
end

local function code_of(failure)
  local code = failure.code
  if type(code) == "number" and code == math.floor(code) and math.abs(code) < 2 ^ 53 then return string.format("%d", code) end
  return "error"
end

-- True or false with an error code, or nil where the answer is not known.
function _M.of(answer)
  if not answer then return nil end
  if type(answer.error) == "table" then return false, code_of(answer.error) end
  if type(answer.result) == "table" and answer.result.isError == true then return false, "tool_error" end
  return true
end

return _M
