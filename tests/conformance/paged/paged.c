/* A made-up source whose list comes in pages, each naming the next one's address: `mutate` builds it in, so that what
 * holds paging in bounds is tried whatever connectors there are. */
#include "services/fetch/connector.h"

#define PAGES_MAX 20

static const struct fetch_field connection_fields[] = {
    {.name = "base_url", .label = "Address", .type = FETCH_URL, .required = true}, {0}};
static const struct fetch_field link_fields[] = {
    {.name = "list", .label = "List", .type = FETCH_TEXT, .required = true}, {0}};

static enum gs_rc start(struct fetch_task *t)
{
    fetch_base(t, fetch_setting(fetch_connection(t), "base_url"));
    return fetch_get(t, "/lists/%s/items", fetch_arg(t, "list"));
}

static enum gs_rc reply(struct fetch_task *t, const struct fetch_reply *r)
{
    int64_t *seen = fetch_scratch(t), more;
    struct gs_json *json = fetch_json(t, r);
    const char *next;
    size_t len;

    if (!json)
        return GS_REJECT;
    more = gs_json_type(json, "/items") == GS_JSON_ARRAY ? gs_json_count(json, "/items") : -1;
    if (more < 0)
        return gs_fail(fetch_err(t), GS_REJECT, "the answer has no items");
    *seen += more;
    if (gs_json_string(json, "/next", &next, &len))
        return fetch_follow(t, next);
    if (gs_json_type(json, "/next") != GS_JSON_NULL)
        return gs_fail(fetch_err(t), GS_REJECT, "the answer does not say whether it is the last");
    for (size_t i = 0; i < fetch_targets(t); i++)
        fetch_emit(t, i, gs_dec_int(*seen));
    return GS_OK;
}

static const struct fetch_auth auths[] = {{.name = "token", .label = "Token", .kind = FETCH_BEARER}, {0}};

const struct fetch_connector fetch_connector_paged = {
    .label = "Paged",
    .terms_url = "https://paged.example/terms",
    .auths = auths,
    .outcomes = FETCH_NUMBER,
    .connection_fields = connection_fields,
    .link_fields = link_fields,
    .scratch = sizeof(int64_t),
    .max_exchanges = PAGES_MAX,
    .start = start,
    .reply = reply,
};
