/* The benchmarks' vendor: one number of one item. Not a product's source; built into the benchmark's worker only. */
#include "services/fetch/connector.h"

static const struct fetch_field connection_fields[] = {{.name = "base_url",
                                                        .label = "Address",
                                                        .help = "Where the benchmark's vendor listens",
                                                        .type = FETCH_URL,
                                                        .required = true},
                                                       {0}};

static const struct fetch_field link_fields[] = {{.name = "item",
                                                  .label = "Item",
                                                  .help = "Number of the item",
                                                  .type = FETCH_INTEGER,
                                                  .required = true,
                                                  .min = 1,
                                                  .max = INT32_MAX},
                                                 {0}};

static enum gs_rc start(struct fetch_task *t)
{
    fetch_base(t, fetch_setting(fetch_connection(t), "base_url"));
    return fetch_get(t, "/v1/items/%s", fetch_arg(t, "item"));
}

static enum gs_rc reply(struct fetch_task *t, const struct fetch_reply *r)
{
    struct gs_json *doc = fetch_json(t, r);
    struct gs_dec value;

    if (!doc || gs_json_decimal(doc, "/data/value", &value, fetch_err(t)) != GS_OK)
        return GS_REJECT;
    for (size_t i = 0; i < fetch_targets(t); i++)
        fetch_emit(t, i, value);
    return GS_OK;
}

static const struct fetch_auth auths[] = {{.name = "token", .label = "Token", .kind = FETCH_BEARER}, {0}};

const struct fetch_connector fetch_connector_bench_items = {
    .label = "Benchmark items",
    .terms_url = "https://example.org/terms",
    .wire = FETCH_HTTP,
    .auths = auths,
    .host_requests = 8192, /* the worker's window is what is measured */
    .outcomes = FETCH_NUMBER | FETCH_PERCENT,
    .connection_fields = connection_fields,
    .link_fields = link_fields,
    .start = start,
    .reply = reply,
};
