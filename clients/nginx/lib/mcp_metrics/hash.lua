-- Pseudonyms for users and sessions: twelve hexadecimal digits of SHA-256, from the OpenSSL that nginx is linked with.
local ffi = require "ffi"

ffi.cdef [[
unsigned char *SHA256(const unsigned char *d, size_t n, unsigned char *md);
]]

local available = pcall(function() return ffi.C.SHA256 end)
local digest = ffi.new("unsigned char[32]")

-- Nil for no text, and where this nginx has no OpenSSL: then nothing is sent rather than the name itself.
return function(text, salt)
  if not available or not text or text == "" then return nil end
  if salt ~= "" then text = salt .. ":" .. text end
  ffi.C.SHA256(text, #text, digest)
  local digits = {}
  for index = 0, 5 do digits[index + 1] = string.format("%02x", digest[index]) end
  return table.concat(digits)
end
