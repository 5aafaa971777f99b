-- The check of a request at `stepup gateway`, in the mode `forward-auth`. Everything except the status 200 refuses the
-- request: a refusal by Step-up is passed on, and anything else becomes a 503.

local http = require "socket.http"
local ltn12 = require "ltn12"

local CHECK = "http://127.0.0.1:9002/;apache"
http.TIMEOUT = 5

-- The identity headers that the service receives.
local IDENTITY = {
    "x-step-up-subject", "x-step-up-issuer", "x-step-up-client", "x-step-up-scopes",
    "x-step-up-amr", "x-step-up-acr", "x-step-up-auth-time",
}

-- Headers of a refusal that the client receives.
local REFUSAL = {
    "www-authenticate", "cache-control", "retry-after", "dpop-nonce", "vary",
    "access-control-allow-origin", "access-control-allow-credentials",
    "access-control-expose-headers",
}

-- Headers of the connection or of the body, which the check does not have.
local OMITTED = {
    ["connection"] = true, ["content-length"] = true, ["expect"] = true, ["keep-alive"] = true,
    ["te"] = true, ["trailer"] = true, ["transfer-encoding"] = true,
}

-- Removes what a client must not set: identity headers, names that a service may read as such, and the names of headers
-- that Apache would remove.
local function clean(r)
    for name in pairs(r:headers_in_table()) do
        if name:find("_", 1, true) or name:lower():find("^x%-step%-up%-") then
            r.headers_in[name] = nil
        end
    end
    local connection = (r.headers_in["Connection"] or ""):lower()
    -- A CORS preflight needs no token, so it must not open a WebSocket.
    if r.method == "GET" and (r.headers_in["Upgrade"] or ""):lower() == "websocket" then
        r.headers_in["Connection"] = "Upgrade"
    else
        r.headers_in["Connection"] = connection:find("close", 1, true) and "close" or nil
    end
end

local function refuse(r, status, headers, body)
    r.status = status
    r.content_type = headers["content-type"] or "text/plain"
    for _, name in ipairs(REFUSAL) do
        if headers[name] then
            r.headers_out[name] = headers[name]
        end
    end
    r:write(body)
    return apache2.OK
end

local function unavailable(r)
    return refuse(r, 503, { ["retry-after"] = "1", ["cache-control"] = "no-store" }, "")
end

local function ask(r)
    clean(r)
    local headers = {}
    for name, value in pairs(r:headers_in_table()) do
        if not OMITTED[name:lower()] then
            headers[name:lower()] = value
        end
    end
    headers["x-forwarded-method"] = r.method
    headers["x-forwarded-uri"] = r.unparsed_uri
    local body = {}
    local done, status, answer = http.request {
        url = CHECK, headers = headers, redirect = false, sink = ltn12.sink.table(body),
    }
    if done and status == 200 then
        for _, name in ipairs(IDENTITY) do
            if answer[name] and answer[name] ~= "" then
                r.headers_in[name] = answer[name]
            end
        end
        return apache2.DECLINED
    elseif done and status >= 400 then
        return refuse(r, status, answer, table.concat(body))
    end
    return unavailable(r)
end

-- An error in the script must not let a request through.
function check(r)
    local checked, result = pcall(ask, r)
    if not checked then
        r:err("stepup: " .. tostring(result))
        return unavailable(r)
    end
    return result
end
