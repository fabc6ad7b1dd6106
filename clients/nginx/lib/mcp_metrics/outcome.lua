-- What is inside the answers: a JSON-RPC error, or a result that says isError, is a failure although the status is 200.
-- The body filter keeps a copy of the first bytes of an answer, plain JSON or an event stream; what passes is not touched.
local cjson = require "cjson.safe"

local _M = {}

local limit = 65536

function _M.setup(settings) limit = settings.max_body_bytes end

-- Call for each piece of the answer.
function _M.keep()
  if ngx.req.get_method() ~= "POST" then return end
  local kept = ngx.ctx.mcp_metrics_answer
  if not kept then
    kept = { size = 0 }
    ngx.ctx.mcp_metrics_answer = kept
  end
  local piece = ngx.arg[1]
  if piece and piece ~= "" and not kept.overflow then
    kept.size = kept.size + #piece
    if kept.size > limit then
      kept.overflow = true
      for index = #kept, 1, -1 do kept[index] = nil end
    else
      kept[#kept + 1] = piece
    end
  end
end

local function add(answers, message)
  if type(message) ~= "table" then return end
  if message[1] then
    for _, one in ipairs(message) do add(answers, one) end
  elseif message.id ~= nil and (message.result ~= nil or message.error ~= nil) then
    answers[message.id] = message
  end
end

-- The JSON-RPC answers by id; empty where nothing is known: no body filter, a large or compressed answer.
function _M.answers()
  local kept = ngx.ctx.mcp_metrics_answer
  local answers = {}
  if not kept or kept.overflow or ngx.header["Content-Encoding"] then return answers end
  local body = table.concat(kept)
  if (ngx.header["Content-Type"] or ""):find("text/event-stream", 1, true) then
    for data in body:gmatch("data: ?([^\r\n]+)") do add(answers, (cjson.decode(data))) end
  else
    add(answers, (cjson.decode(body)))
  end
  return answers
end

-- True or false with an error code, or nil where the answer is not known.
function _M.of(answer)
  if not answer then return nil end
  if type(answer.error) == "table" then return false, tostring(answer.error.code or "error") end
  if type(answer.result) == "table" and answer.result.isError == true then return false, "tool_error" end
  return true
end

return _M
