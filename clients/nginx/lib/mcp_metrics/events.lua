-- Reads an event stream (HTML standard, section 9.2.6) piece by piece as it passes, and hands over each event's data.
-- What it remembers is one event at a time, of `limit` bytes at most: a longer one is passed over.
local _M = {}

local function take(stream, line)
  if line == "" then
    local data = stream.data
    stream.data, stream.size, stream.long = {}, 0, false
    if #data > 0 then stream.on_data(table.concat(data, "\n")) end
    return
  end
  local data = line:match("^data: ?(.*)$")
  if not data or stream.long then return end
  stream.size = stream.size + #data
  if stream.size > stream.limit then
    stream.long, stream.data = true, {}
  else
    stream.data[#stream.data + 1] = data
  end
end

function _M.new(limit, on_data)
  return { limit = limit, on_data = on_data, data = {}, size = 0, long = false, rest = "", cut = false }
end

function _M.feed(stream, piece)
  local at = 1
  while true do
    local stop = piece:find("\n", at, true)
    if not stop then break end
    local line = stream.rest .. piece:sub(at, stop - 1)
    stream.rest = ""
    if stream.cut then
      stream.cut, stream.long, stream.data = false, true, {}
    else
      take(stream, (line:gsub("\r$", "")))
    end
    at = stop + 1
  end
  if stream.cut then return end
  stream.rest = stream.rest .. piece:sub(at)
  if #stream.rest > stream.limit + 100 then
    stream.rest, stream.cut = "", true
  end
end

-- The stream is over. An event that its server did not close is none, but servers do end without the empty line.
function _M.finish(stream)
  if not stream.cut and stream.rest ~= "" then take(stream, (stream.rest:gsub("\r$", ""))) end
  take(stream, "")
end

return _M
