/* Zapier: a zap sends the number to the gateway whenever it runs; nobody asks Zapier for anything. */
#include "services/fetch/connector.h"

static const struct fetch_field no_fields[] = {{0}};

static enum gs_rc start(struct fetch_task *t)
{
    return gs_fail(fetch_err(t), GS_REJECT, "Zapier sends its values by itself; there is nothing to ask");
}

static enum gs_rc reply(struct fetch_task *t, const struct fetch_reply *r)
{
    (void)r;
    return start(t);
}

const struct fetch_connector fetch_connector_zapier = {
    .label = "Zapier",
    .terms_url = "https://zapier.com/legal",
    .pushed = true,
    .outcomes = FETCH_NUMBER | FETCH_PERCENT,
    .connection_fields = no_fields,
    .link_fields = no_fields,
    .start = start,
    .reply = reply,
};
