/* The scripted source with limits that it documents. Connections of one address are one account. */
#include "tests/service/fetch/connectors/scripted/scripted.h"

#include "common/str.h"

static const struct fetch_auth auths[] = {{.name = "token", .label = "Token", .kind = FETCH_BEARER}, {0}};

static const struct fetch_budget budgets[] = {
    {.name = "core", .of = FETCH_OF_ACCOUNT, .requests = 40, .seconds = 4, .burst = 10},
    {.name = "search", .of = FETCH_OF_CONNECTION, .requests = 6, .seconds = 60, .burst = 3},
    {0},
};

static void account(const struct fetch_settings *connection, struct gs_buf *ret_account)
{
    gs_buf_puts(ret_account, fetch_setting(connection, "base_url"));
}

static enum gs_rc start(struct fetch_task *t)
{
    enum gs_rc rc = scripted_start(t);

    if (gs_str_starts(fetch_arg(t, "what"), "search"))
        fetch_spend(t, "search");
    return rc;
}

const struct fetch_connector fetch_connector_metered = {
    .label = "Metered",
    .auths = auths,
    .budgets = budgets,
    .outcomes = FETCH_NUMBER,
    .connection_fields = scripted_connection_fields,
    .link_fields = scripted_link_fields,
    .account = account,
    .start = start,
    .reply = scripted_reply,
};
