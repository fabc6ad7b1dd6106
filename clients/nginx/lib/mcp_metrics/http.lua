-- One POST over a cosocket, TLS included: all of HTTP/1.1 (RFC 9112) that the gateway's answers need.
local _M = {}

local MAX_HEADERS = 100
local MAX_BODY = 262144

local function read_exactly(socket, bytes)
  if bytes > MAX_BODY then return nil, "the answer is too large" end
  return socket:receive(bytes)
end

local function read_chunks(socket)
  local parts, size = {}, 0
  while true do
    local line, problem = socket:receive("*l")
    if not line then return nil, problem end
    local digits = line:match("^%x+")
    if not digits then return nil, "a chunk without a length" end
    local length = tonumber(digits, 16)
    if length == 0 then break end
    size = size + length
    if size > MAX_BODY then return nil, "the answer is too large" end
    local part, failed = socket:receive(length)
    if not part then return nil, failed end
    parts[#parts + 1] = part
    socket:receive(2)
  end
  repeat
    local trailer = socket:receive("*l")
  until not trailer or trailer == ""
  return table.concat(parts)
end

local function read_answer(socket)
  local status, headers
  repeat -- interim answers, 1xx, come before the real one
    local line, problem = socket:receive("*l")
    if not line then return nil, "no answer: " .. tostring(problem) end
    status = tonumber(line:match("^HTTP/1%.%d (%d%d%d)"))
    if not status then return nil, "no HTTP answer" end
    headers = {}
    for _ = 1, MAX_HEADERS do
      local header = socket:receive("*l")
      if not header then return nil, "the answer broke off" end
      if header == "" then break end
      local name, value = header:match("^([^:]+):%s*(.-)%s*$")
      if name then headers[name:lower()] = value end
    end
  until status >= 200
  local body, problem
  if headers["transfer-encoding"] and headers["transfer-encoding"]:lower() == "chunked" then
    body, problem = read_chunks(socket)
  elseif headers["content-length"] then
    body, problem = read_exactly(socket, tonumber(headers["content-length"]) or MAX_BODY + 1)
  else
    headers.connection = "close"
    local partial
    body, problem, partial = socket:receive("*a")
    body = body or partial
  end
  if not body then return nil, tostring(problem) end
  return { status = status, headers = headers, body = body }
end

-- Sends `body` and gives { status, headers, body }, or nil and what went wrong.
function _M.post(settings, headers, body)
  local endpoint = settings.endpoint
  local socket = ngx.socket.tcp()
  local milliseconds = settings.timeout * 1000
  socket:settimeouts(milliseconds, milliseconds, milliseconds)
  -- Cosockets resolve by `resolver` alone, which does not know this name.
  local address = endpoint.host == "localhost" and "127.0.0.1" or endpoint.host
  local ok, problem = socket:connect(address, endpoint.port, {
    pool = "mcp_metrics:" .. endpoint.scheme .. ":" .. endpoint.header,
  })
  if not ok then return nil, "no connection: " .. tostring(problem) end
  if endpoint.scheme == "https" and socket:getreusedtimes() == 0 then
    local session, failed = socket:sslhandshake(nil, endpoint.host, settings.tls_verify)
    if not session then
      socket:close()
      return nil, "no TLS: " .. tostring(failed)
    end
  end
  local head = { "POST " .. endpoint.path .. " HTTP/1.1", "Host: " .. endpoint.header, "Content-Length: " .. #body }
  for name, value in pairs(headers) do head[#head + 1] = name .. ": " .. value end
  head[#head + 1] = "\r\n"
  local sent, failed = socket:send({ table.concat(head, "\r\n"), body })
  if not sent then
    socket:close()
    return nil, "not sent: " .. tostring(failed)
  end
  local answer, broken = read_answer(socket)
  if not answer or (answer.headers.connection or ""):lower() == "close" then
    socket:close()
  else
    socket:setkeepalive(60000, 2)
  end
  return answer, broken
end

return _M
