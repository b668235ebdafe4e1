-- wrk's part: requests made from lines of "METHOD<tab>PATH<tab>BODY" in the file $REQUESTS, in turn, and the result as JSON.
local requests, at, bad = {}, 0, 0
local threads = {}

function setup(thread)
    table.insert(threads, thread)
    thread:set("first", #threads)
end

function init(args)
    for line in io.lines(os.getenv("REQUESTS")) do
        local method, path, body = line:match("^(%S+)\t(%S+)\t?(.*)$")
        local headers = { Authorization = "Bearer " .. (os.getenv("TOKEN") or ""), ["Content-Type"] = "application/json" }
        if body == "" then body, headers["Content-Type"] = nil, nil end
        requests[#requests + 1] = wrk.format(method, path, headers, body)
    end
    at = first * 7919
    refused = 0
end

function request()
    at = at + 1
    return requests[at % #requests + 1]
end

function response(status)
    if status >= 300 then refused = refused + 1 end
end

function done(summary, latency)
    for _, thread in ipairs(threads) do bad = bad + thread:get("refused") end
    local e = summary.errors
    io.write(string.format('JSON {"n":%d,"seconds":%.6f,"p50_ms":%.3f,"p99_ms":%.3f,"bad":%d}\n', summary.requests, summary.duration / 1e6,
        latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, bad + e.connect + e.read + e.write + e.timeout))
end
