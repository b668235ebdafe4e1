/* The scripted source once more, in a lane of its own. */
#include "tests/service/fetch/connectors/scripted/scripted.h"

static const struct fetch_auth auths[] = {{.name = "token", .label = "Token", .kind = FETCH_BEARER}, {0}};

const struct fetch_connector fetch_connector_stuck = {
    .label = "Stuck",
    .auths = auths,
    .outcomes = FETCH_NUMBER,
    .connection_fields = scripted_connection_fields,
    .link_fields = scripted_link_fields,
    .start = scripted_start,
    .reply = scripted_reply,
};
