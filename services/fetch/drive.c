/* The ways of asking sources: which one carries an exchange out, and what each needs for that. */
#include "common/egress.h"
#include "services/fetch/request.h"

enum gs_rc fetch_drives_start(struct fetch_worker *w, struct gs_err *err)
{
    fetch_config.allow_private |= fetch_config.allow_plain;
    fetch_settings_allow_plain(fetch_config.allow_plain);
    w->http = gs_http_new(w->loop, err);
    if (!w->http)
        return err->rc;
    gs_http_allow_addresses(w->http, gs_egress_allowed, &fetch_config.allow_private);
    w->sources = fetch_pg_new(w->loop);
    return GS_OK;
}

void fetch_drives_stop(struct fetch_worker *w)
{
    w->http = w->http ? gs_http_free(w->http) : NULL;
    w->sources = w->sources ? fetch_pg_free(w->sources) : NULL;
}

void fetch_drive(struct fetch_request *q, const struct fetch_exchange *x)
{
    switch (x->wire) {
    case FETCH_HTTP:
        fetch_drive_http(q, x);
        break;
    case FETCH_POSTGRES:
        fetch_drive_postgres(q, x);
        break;
    }
}
