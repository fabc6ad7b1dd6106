-- What nginx.conf calls: setup() in init_by_lua, start() in init_worker_by_lua; log() and body_filter() in the phases of those
-- names, in each location that leads to an MCP server (location.conf has the lines); status() for operators.
--
-- See README.md. Nothing here ever fails a request: log() is guarded, and sending happens in a timer.
local flush = require "mcp_metrics.flush"
local options = require "mcp_metrics.options"
local outcome = require "mcp_metrics.outcome"
local queue = require "mcp_metrics.queue"
local record = require "mcp_metrics.record"
local cjson = require "cjson.safe"

local _M = { version = "0.1.0" }

local settings

-- Call once in init_by_lua_block. Raises for an option that cannot be right, so that `nginx -t` says so.
function _M.setup(given)
  settings = options.resolve(given or {})
  queue.setup(settings)
  flush.setup(settings)
  outcome.setup(settings)
  record.setup(settings)
  if not settings.api_key then
    ngx.log(ngx.WARN, "MCP metrics are off: no API key. Set METRICS_API_KEY (and METRICS_SERVICE_URL) to send them.")
  end
end

-- Call in init_worker_by_lua_block: each worker may send, one at a time does.
function _M.start()
  if not (settings and settings.api_key) then return end
  math.randomseed(ngx.worker.pid() + ngx.time())
  local ok, problem = ngx.timer.every(settings.flush_interval, flush.run)
  if not ok then ngx.log(ngx.ERR, "MCP metrics: no timer: ", problem) end
end

-- Call in log_by_lua_block of each location that leads to an MCP server.
function _M.log()
  if not (settings and settings.api_key) then return end
  local ok, problem = pcall(record.request)
  if not ok then ngx.log(ngx.ERR, "MCP metrics: a request was not recorded: ", problem) end
end

-- Call in body_filter_by_lua_block beside log(): then failures inside an answer of 200 are seen, too.
function _M.body_filter()
  if settings and settings.api_key then outcome.keep() end
end

-- Call in content_by_lua_block of a location for operators: the books, as JSON.
-- recorded = delivered + rejected + dropped + queued + in_flight
function _M.status()
  ngx.header["Content-Type"] = "application/json"
  ngx.say(cjson.encode(queue.stats()))
end

return _M
