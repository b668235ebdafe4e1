/* A source for tests: one number at an address that the link names. */
#include "scripted.h"

const struct fetch_field scripted_connection_fields[] = {
    {.name = "base_url", .label = "Address", .type = FETCH_URL, .required = true}, {0}};
const struct fetch_field scripted_link_fields[] = {
    {.name = "what", .label = "What", .type = FETCH_TEXT, .required = true}, {0}};

enum gs_rc scripted_start(struct fetch_task *t)
{
    fetch_base(t, fetch_setting(fetch_connection(t), "base_url"));
    return fetch_get(t, "/%s", fetch_arg(t, "what"));
}

enum gs_rc scripted_reply(struct fetch_task *t, const struct fetch_reply *r)
{
    struct gs_json *json = fetch_json(t, r);
    struct gs_dec value;

    if (!json || gs_json_decimal(json, "/value", &value, fetch_err(t)) != GS_OK)
        return GS_REJECT;
    for (size_t i = 0; i < fetch_targets(t); i++)
        fetch_emit(t, i, value);
    return GS_OK;
}

static const struct fetch_auth auths[] = {{.name = "token", .label = "Token", .kind = FETCH_BEARER}, {0}};

const struct fetch_connector fetch_connector_scripted = {
    .label = "Scripted",
    .auths = auths,
    .outcomes = FETCH_NUMBER,
    .connection_fields = scripted_connection_fields,
    .link_fields = scripted_link_fields,
    .start = scripted_start,
    .reply = scripted_reply,
};
