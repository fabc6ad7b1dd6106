-- Options and their defaults; the environment fills what is not given. Runs in the master, where the environment is whole.
local _M = {}

local DEFAULTS = {
  -- Name of the lua_shared_dict that holds the queue; 10m hold some 20,000 metrics.
  dict = "mcp_metrics",
  -- Name of an optional lua_shared_dict that remembers which client opened a session.
  sessions_dict = "mcp_metrics_sessions",
  -- Seconds that a session's client is remembered after its last request.
  session_seconds = 3600,
  -- Seconds between two looks at the queue.
  flush_interval = 1,
  -- Metrics in one request; the gateway takes up to 5,000.
  max_batch = 1024,
  -- Metrics that may wait; beyond, the oldest go and are counted.
  max_queue = 10000,
  -- Bytes of a request body that are looked at.
  max_body_bytes = 65536,
  -- Seconds for each of connecting, sending and reading.
  timeout = 5,
  -- Seconds before the first retry, doubled up to retry_max, with jitter.
  retry_base = 1,
  retry_max = 30,
  -- Seconds until the next try after 401, 403, 404 and the like, which no quick retry mends.
  misconfigured_pause = 60,
  -- Seconds after which a batch that may have arrived is not sent again; the gateway remembers its key for 24 hours.
  max_batch_age = 43200,
  -- Whether the gateway's certificate must be good. Needs lua_ssl_trusted_certificate.
  tls_verify = true,
}

local function check(name, value, kind)
  if type(value) ~= kind then
    error("mcp_metrics.setup: option " .. name .. " must be a " .. kind .. ", not " .. type(value), 0)
  end
end

local function read_url(url)
  if url:find("@", 1, true) then
    error("mcp_metrics.setup: METRICS_SERVICE_URL must be an address alone, without a name or password before the @", 0)
  end
  local scheme, host, port, path = url:match("^(https?)://([%w%.%-]+):?(%d*)(/?.*)$")
  if not scheme then
    scheme, host, port, path = url:match("^(https?)://(%[[%x:]+%]):?(%d*)(/?.*)$")
  end
  if not scheme or path:find("[%s?#]") then
    error("mcp_metrics.setup: METRICS_SERVICE_URL must look like http://host:8890, not " .. url, 0)
  end
  path = path:gsub("/+$", ""):gsub("/metrics$", "")
  local number = tonumber(port) or (scheme == "https" and 443 or 80)
  return { scheme = scheme, host = host, port = number, path = path .. "/metrics", header = host .. ":" .. number }
end

-- Checks what was given and fills the rest. Raises a text that says what is wrong.
function _M.resolve(given)
  local settings = {}
  for name, default in pairs(DEFAULTS) do
    local value = given[name]
    if value == nil then value = default end
    check(name, value, type(default))
    if type(default) == "number" and value <= 0 then
      error("mcp_metrics.setup: option " .. name .. " must be more than 0", 0)
    end
    settings[name] = value
  end
  local named = { url = true, api_key = true, service = true, version = true, instance_id = true, user_salt = true }
  for name in pairs(given) do
    if settings[name] == nil and not named[name] then
      error("mcp_metrics.setup: there is no option " .. tostring(name), 0)
    end
  end
  for name in pairs(named) do
    if given[name] ~= nil then check(name, given[name], "string") end
  end
  -- White space around it, as from a file, is not part of a key; an empty variable is one that is not set.
  local key = (given.api_key or os.getenv("METRICS_API_KEY") or ""):match("^%s*(.-)%s*$")
  if key == "" then key = nil end
  if key and key:find("[%c%s]") then
    error("mcp_metrics.setup: METRICS_API_KEY must be one line without spaces", 0)
  end
  settings.api_key = key
  settings.endpoint = read_url(given.url or os.getenv("METRICS_SERVICE_URL") or "http://127.0.0.1:8890")
  settings.service = given.service or os.getenv("OTEL_SERVICE_NAME") or "nginx"
  if not settings.service:find("^[%w_%-]+$") or #settings.service > 100 then
    error("mcp_metrics.setup: service must be letters, digits, _ and -, at most 100: " .. settings.service, 0)
  end
  settings.version = given.version
  settings.instance_id = given.instance_id
  local salt = os.getenv("METRICS_USER_HASH_SALT")
  if salt == "" then salt = nil end
  settings.user_salt = given.user_salt or salt or key or ""
  if not ngx.shared[settings.dict] then
    error("mcp_metrics.setup: nginx.conf needs a line `lua_shared_dict " .. settings.dict .. " 10m;`", 0)
  end
  return settings
end

return _M
