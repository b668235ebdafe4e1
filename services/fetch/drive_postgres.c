/* Carries out a task's SQL exchanges with a PostgreSQL source. */
#include "common/egress.h"
#include "services/fetch/request.h"

static void on_answer(void *arg, const struct fetch_pg_answer *a)
{
    struct fetch_request *q = arg;

    if (a->rc == GS_OK)
        fetch_request_replied(q, &a->reply);
    else
        fetch_request_unanswered(q, a->rc, a->error);
}

void fetch_drive_postgres(struct fetch_request *q, const struct fetch_exchange *x)
{
    struct fetch_pg_target target;

    fetch_pg_target_init(&target, q->conn->settings);
    if (q->conn->secrets) {
        target.user = q->conn->secrets->user;
        target.password = q->conn->secrets->password;
    }
    target.allow_plain = fetch_config.allow_plain;
    target.address_allowed = gs_egress_allowed;
    target.address_arg = &fetch_config.allow_private;
    q->sql = fetch_pg_ask(q->w->sources, &target, x->statement, q->deadline_us, on_answer, q);
}
