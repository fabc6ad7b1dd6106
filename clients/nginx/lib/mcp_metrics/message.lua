-- Reads JSON-RPC requests out of a request body, with bounds: which method, which tool, which client.
local cjson = require "cjson.safe"

local _M = { SOME_ID = true }

local MESSAGES_AT_MOST = 50
local CLIENT_INFO = "io.modelcontextprotocol/clientInfo"
local PROTOCOL = "io.modelcontextprotocol/protocolVersion"

-- The request's body as far as it is looked at, and its whole length. Nil where there is none, and for a body beyond
-- client_body_buffer_size: nginx keeps that in a file without a name.
function _M.body(limit)
  local body = ngx.req.get_body_data()
  if body then return body:sub(1, limit), #body end
end

-- The string that begins at `at`, a quote, and the place after it. Nil where the text ends before the string does.
local function read_string(text, at)
  local stop = at + 1
  while true do
    stop = text:find('["\\]', stop)
    if not stop then return nil end
    if text:byte(stop) == 34 then break end
    stop = stop + 2
  end
  return cjson.decode("[" .. text:sub(at, stop) .. "]"), stop + 1
end

-- The id whose colon comes next: a number or a text, else SOME_ID, for there is one.
local function read_id(text, at)
  local number = text:match("^%s*:%s*(%-?%d+)%s*[,}]", at)
  if number then return tonumber(number) end
  local quote = text:match('^%s*:%s*()"', at)
  local value = quote and read_string(text, quote)
  return value and value[1] or _M.SOME_ID
end

-- What a beginning of a message tells: the members `method` and `params.name` and whether there is an id, by walking
-- the text up to where it breaks off. Members that come later remain unknown.
function _M.scan(text)
  local found, path, depth, at, key = {}, {}, 0, 1, nil
  while true do
    at = text:find('[{}%[%]",:]', at)
    if not at then return found end
    local character = text:sub(at, at)
    if character == '"' then
      local value, after = read_string(text, at)
      if not value then return found end
      local is_key = text:match("^%s*:", after)
      if is_key then
        key = value[1]
        if depth == 1 and key == "id" then found.id = read_id(text, after) end
      elseif depth == 1 and key == "method" then
        found.method = value[1]
      elseif depth == 2 and path[1] == "params" and key == "name" then
        found.params = { name = value[1] }
      end
      at = after
    else
      if character == "{" or character == "[" then
        path[depth] = key
        depth = depth + 1
        key = nil
      elseif character == "}" or character == "]" then
        depth = depth - 1
        if depth < 1 then return found end
      end
      at = at + 1
    end
  end
end

-- Requests in a body: a list of decoded messages that have a method and an id. Notifications and answers are left out.
function _M.requests(body, whole)
  local decoded
  if whole then decoded = cjson.decode(body) else decoded = _M.scan(body) end
  if type(decoded) ~= "table" then return {} end
  local list = decoded[1] and decoded or { decoded }
  local requests = {}
  for index = 1, math.min(#list, MESSAGES_AT_MOST) do
    local message = list[index]
    if type(message) == "table" and type(message.method) == "string" and message.id ~= nil and message.id ~= cjson.null then
      requests[#requests + 1] = message
    end
  end
  return requests
end

-- What the headers of protocol 2026-07-28 tell of a request whose body cannot be looked into: `Mcp-Method`, `Mcp-Name`.
function _M.told()
  local method = ngx.var.http_mcp_method
  if not method or method:find("^notifications/") then return nil end
  return { id = _M.SOME_ID, method = method, params = { name = ngx.var.http_mcp_name } }
end

local function member(value, name)
  if type(value) ~= "table" then return nil end
  return value[name]
end

local function text(value) return type(value) == "string" and value ~= "" and value or nil end

-- Name, version and protocol version of the client, where this message says them: `initialize`, or `_meta` since 2026-07-28.
function _M.client(message)
  local params = member(message, "params")
  local meta = member(params, "_meta")
  local info = member(meta, CLIENT_INFO) or (message.method == "initialize" and member(params, "clientInfo"))
  local protocol = text(member(meta, PROTOCOL)) or (message.method == "initialize" and text(member(params, "protocolVersion")))
  return text(member(info, "name")), text(member(info, "version")), protocol or nil
end

-- The tool that is called.
function _M.tool(message)
  return message.method == "tools/call" and text(member(message.params, "name")) or nil
end

return _M
