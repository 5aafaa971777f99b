-- The check of a request at `stepup gateway`, in the mode `forward-auth`. Everything except the status 200 refuses the
-- request: a refusal by Step-up is passed on, and anything else becomes a 503.

local CHECK = "http://127.0.0.1:9002/;haproxy"
local TIMEOUT_MS = 5000

-- The identity headers that the service receives.
local IDENTITY = {
    "x-step-up-subject", "x-step-up-issuer", "x-step-up-client", "x-step-up-scopes",
    "x-step-up-amr", "x-step-up-acr", "x-step-up-auth-time",
}

-- Headers of a refusal that the client receives.
local REFUSAL = {
    "www-authenticate", "content-type", "cache-control", "retry-after", "dpop-nonce", "vary",
    "access-control-allow-origin", "access-control-allow-credentials",
    "access-control-expose-headers",
}

-- Headers of the connection or of the body, which the check does not have.
local OMITTED = {
    ["connection"] = true, ["content-length"] = true, ["expect"] = true, ["keep-alive"] = true,
    ["te"] = true, ["trailer"] = true, ["transfer-encoding"] = true,
}

local UNAVAILABLE = {
    status = 503, headers = { ["retry-after"] = { "1" }, ["cache-control"] = { "no-store" } }, body = "",
}

-- HAProxy counts the values of a header from 0, its HTTP client from 1.
local function from_one(values)
    local list = {}
    local index = 0
    while values[index] ~= nil do
        table.insert(list, values[index])
        index = index + 1
    end
    return list
end

-- The response to a refused request, or nil if Step-up allows the request.
local function refusal(txn)
    local headers = {}
    for name, values in pairs(txn.http:req_get_headers()) do
        if not OMITTED[name] then
            headers[name] = from_one(values)
        end
    end
    headers["x-forwarded-method"] = { txn.sf:method() }
    headers["x-forwarded-uri"] = { txn.sf:pathq() }
    local response = core.httpclient():get{ url = CHECK, headers = headers, timeout = TIMEOUT_MS }
    local answer = {}
    for name, values in pairs(response.headers or {}) do
        answer[name:lower()] = from_one(values)
    end
    if response.status == 200 then
        for _, name in ipairs(IDENTITY) do
            local values = answer[name] or {}
            if values[1] ~= nil and values[1] ~= "" then
                txn.http:req_set_header(name, values[1])
            end
        end
        return nil
    end
    if response.status == nil or response.status < 400 then
        return UNAVAILABLE
    end
    return { status = response.status, headers = answer, body = response.body or "" }
end

core.register_action("stepup", { "http-req" }, function(txn)
    -- An error in the script must not let a request through.
    local checked, found = pcall(refusal, txn)
    if not checked then
        core.Alert("stepup: " .. tostring(found))
        found = UNAVAILABLE
    end
    if found == nil then
        return
    end
    local reply = txn:reply()
    reply:set_status(found.status)
    for _, name in ipairs(REFUSAL) do
        for _, value in ipairs(found.headers[name] or {}) do
            reply:add_header(name, value)
        end
    end
    reply:set_body(found.body)
    txn:done(reply)
end)
