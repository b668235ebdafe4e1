/* What a connection has under way: queues of statements, prepared names, putting a statement on the wire. */
#include "common/pg_internal.h"

#include <string.h>

void gs_pg_queue_init(struct gs_pg_queue *q)
{
    *q = (struct gs_pg_queue){.last = &q->first};
}

void gs_pg_push(struct gs_pg_queue *q, struct gs_pg_item *it)
{
    it->next = NULL;
    *q->last = it;
    q->last = &it->next;
    q->n++;
}

struct gs_pg_item *gs_pg_pop(struct gs_pg_queue *q)
{
    struct gs_pg_item *it = q->first;

    if (!it)
        return NULL;
    q->first = it->next;
    if (!q->first)
        q->last = &q->first;
    q->n--;
    return it;
}

static bool is_prepared(const struct gs_pg_names *names, const char *name)
{
    for (size_t i = 0; i < names->n; i++)
        if (names->name[i] == name || strcmp(names->name[i], name) == 0)
            return true;
    return false;
}

static void remember(struct gs_pg_names *names, const char *name)
{
    if (!is_prepared(names, name) && names->n < GS_PG_PREPARED)
        names->name[names->n++] = name;
}

static void forget(struct gs_pg_names *names, const char *name)
{
    for (size_t i = 0; i < names->n; i++) {
        if (strcmp(names->name[i], name) == 0) {
            names->name[i] = names->name[--names->n];
            return;
        }
    }
}

/* A PREPARE inside a transaction that had failed did not happen, and statements behind it that count on it fail too. */
void gs_pg_note_failure(struct gs_pg_names *names, const struct gs_pg_item *it, const struct gs_pg_result *r,
                        bool in_prepare)
{
    if (!it->stmt.name)
        return;
    if (strcmp(r->sqlstate, "42P05") == 0)
        remember(names, it->stmt.name);
    else if (strcmp(r->sqlstate, "26000") == 0 || (it->prepares && in_prepare))
        forget(names, it->stmt.name);
}

/* libpq copies everything into its output buffer. */
bool gs_pg_transmit(PGconn *conn, struct gs_pg_names *names, struct gs_pg_item *it, const struct gs_pg_params *p)
{
    const char *values[GS_PG_PARAMS_MAX], *name = it->stmt.name;
    int n = p ? p->n : 0;
    int ok = 1;

    for (int i = 0; i < n; i++)
        values[i] = p->len[i] < 0 ? NULL : p->bytes.data ? p->bytes.data + p->at[i] : "";
    if (name && !is_prepared(names, name)) {
        if (names->n == GS_PG_PREPARED) {
            name = NULL;
        } else {
            it->prepares = true;
            remember(names, name);
            ok = PQsendPrepare(conn, name, it->stmt.sql, n, p ? p->types : NULL);
        }
    }
    if (ok && name)
        ok = PQsendQueryPrepared(conn, name, n, values, p ? p->len : NULL, p ? p->formats : NULL, 1);
    else if (ok)
        ok = PQsendQueryParams(conn, it->stmt.sql, n, p ? p->types : NULL, values, p ? p->len : NULL,
                               p ? p->formats : NULL, 1);
    return ok && PQpipelineSync(conn);
}
