-- The log phase: one tool_execution metric for each JSON-RPC request that passed, as bytes, into the queue.
-- Without the body filter nginx sees the HTTP status alone, and a tool that failed inside a 200 counts as success. Of
-- arguments and results nothing is sent but their size.
local cjson = require "cjson.safe"
local hash = require "mcp_metrics.hash"
local message = require "mcp_metrics.message"
local outcome = require "mcp_metrics.outcome"
local queue = require "mcp_metrics.queue"

local _M = {}

local TEXT_BYTES = 200
local NAME_BYTES = 96
local OTHER = "_other"
local LISTED_AT_MOST = 1000
local METHODS = {}
for method in ([[
  initialize ping tools/list tools/call resources/list resources/templates/list resources/read resources/subscribe
  resources/unsubscribe prompts/list prompts/get completion/complete logging/setLevel server/discover
  subscriptions/listen tasks/get tasks/result tasks/list tasks/cancel tasks/update
]]):gmatch("%S+") do METHODS[method] = true end

local settings, sessions

function _M.setup(given)
  settings = given
  sessions = ngx.shared[given.sessions_dict]
end

-- Valid UTF-8 of at most `limit` bytes; a byte that belongs to no character becomes a question mark. One bad byte would
-- have the gateway refuse the whole batch.
local function clean(text, limit)
  if not text then return nil end
  if #text <= limit and not text:find("[\128-\255]") then return text end
  local parts, at, size = {}, 1, 0
  while at <= #text do
    local byte = text:byte(at)
    local length = byte < 0x80 and 1 or byte >= 0xC2 and byte < 0xE0 and 2 or byte >= 0xE0 and byte < 0xF0 and 3
      or byte >= 0xF0 and byte < 0xF5 and 4 or 0
    local character = text:sub(at, at + length - 1)
    local second = text:byte(at + 1) or 0
    local whole = length > 0 and #character == length and not character:find("[^\128-\191]", 2)
      and not (byte == 0xE0 and second < 0xA0) and not (byte == 0xED and second > 0x9F)
      and not (byte == 0xF0 and second < 0x90) and not (byte == 0xF4 and second > 0x8F)
    if not whole then character, length = "?", 1 end
    if size + #character > limit then break end
    parts[#parts + 1] = character
    size = size + #character
    at = at + length
  end
  return table.concat(parts)
end

-- Seconds spent on upstreams: "0.003", "0.001, 0.002 : 0.004", "-" where there was none.
local function upstream_milliseconds()
  local sum
  for seconds in (ngx.var.upstream_response_time or ""):gmatch("[%d%.]+") do
    sum = (sum or 0) + tonumber(seconds)
  end
  return (sum or tonumber(ngx.var.request_time) or 0) * 1000
end

local function timestamp()
  local now = ngx.now()
  return os.date("!%Y-%m-%dT%H:%M:%S", math.floor(now)) .. string.format(".%03dZ", math.floor(now * 1000 % 1000))
end

-- Whoever opened the session is its client; later requests of the handshake protocols do not say.
local function client_of(request)
  local name, version, protocol = message.client(request)
  local id = ngx.var.sent_http_mcp_session_id or ngx.var.http_mcp_session_id
  if not (sessions and id and #id <= 200) then return name, version, protocol, id end
  if name then
    sessions:set(id, (name:gsub("\n", " ")) .. "\n" .. (version or ""), settings.session_seconds)
  else
    local known = sessions:get(id)
    if known then
      name, version = known:match("^(.-)\n(.*)$")
      if version == "" then version = nil end
      sessions:expire(id, settings.session_seconds)
    end
  end
  return name, version, protocol, id
end

-- The tool's name as a label: one that a caller made up is none. What a server lists or answers well is its own.
-- `known`: what the answer itself says, nil where it cannot be read; then a good status has to do.
local function tool_label(tool, server, known, success)
  if not sessions or (known == nil and success) then return clean(tool, NAME_BYTES) end
  local key = "tool:" .. server .. ":" .. tool
  if success then
    sessions:set(key, true)
  elseif not sessions:get(key) then
    return OTHER
  end
  return clean(tool, NAME_BYTES)
end

local function learn_tools(answer, server)
  local tools = type(answer.result) == "table" and answer.result.tools
  if not sessions or type(tools) ~= "table" then return end
  for index = 1, math.min(#tools, LISTED_AT_MOST) do
    local name = type(tools[index]) == "table" and tools[index].name
    if type(name) == "string" and #name <= TEXT_BYTES then sessions:set("tool:" .. server .. ":" .. name, true) end
  end
end

local function metric_of(request, answer, body_bytes, milliseconds)
  local status = ngx.status
  local success, error_code = outcome.of(answer)
  local known = success
  if status < 200 or status >= 400 then
    success, error_code = false, tostring(status)
  elseif success == nil then
    success = true
  end
  local method = METHODS[request.method] and request.method or OTHER
  local tool = message.tool(request)
  local name, version, protocol, session = client_of(request)
  -- What was agreed on, which need not be what was asked for.
  local agreed = method == "initialize" and answer and type(answer.result) == "table" and answer.result.protocolVersion
  if type(agreed) == "string" then protocol = agreed end
  local path = ngx.var.mcp_server_path
  if not path or path == "" then path = (ngx.var.uri or "/"):match("^/[^/]*/?") end
  local server = ngx.var.mcp_server_name
  if not server or server == "" then server = path:match("[^/]+") or "" end
  if answer and method == "tools/list" then learn_tools(answer, server) end
  return cjson.encode({
    type = "tool_execution",
    value = 1,
    timestamp = timestamp(),
    duration_ms = milliseconds,
    dimensions = {
      tool_name = tool and tool_label(tool, server, known, success) or method,
      server_name = clean(server, NAME_BYTES),
      server_path = clean(path, TEXT_BYTES),
      success = success,
      method = method,
      client_name = clean(name, NAME_BYTES),
      client_version = clean(version, NAME_BYTES),
      user_hash = hash(ngx.var.mcp_user, settings.user_salt),
      session_key = hash(session and "mcp-session " .. session, settings.user_salt),
    },
    metadata = {
      error_code = error_code,
      protocol_version = clean(protocol or ngx.var.http_mcp_protocol_version, TEXT_BYTES),
      actual_tool_name = clean(tool, TEXT_BYTES),
      input_size_bytes = body_bytes,
      output_size_bytes = tonumber(ngx.var.body_bytes_sent) or 0,
    },
  })
end

-- The requests in the body, and its length. A body that cannot be looked into leaves what the headers say.
local function requests()
  local body, length = message.body(settings.max_body_bytes)
  if body then return message.requests(body, length <= settings.max_body_bytes), length end
  local told = message.told()
  if told then return { told }, tonumber(ngx.var.http_content_length) end
  if ngx.req.get_body_file() or (tonumber(ngx.var.http_content_length) or 0) > 0 then queue.count("unread", 1) end
  return {}
end

function _M.request()
  if ngx.req.get_method() ~= "POST" then return end
  local list, length = requests()
  if #list == 0 then return end
  local milliseconds = upstream_milliseconds()
  local answers = outcome.answers(#list == 1 and list[1].id or nil)
  for _, request in ipairs(list) do
    local answer = answers[request.id]
    -- An id that could not be read is that of the one answer there is.
    if not answer and request.id == message.SOME_ID and #list == 1 then _, answer = next(answers) end
    local metric = metric_of(request, answer, length, milliseconds)
    if metric then queue.push(metric) end
  end
end

return _M
