/* Links as people see them: where the number comes from, when it is asked next, and what to do when it fails. */
#include "services/cli/link.h"

#include "common/str.h"
#include "services/cli/db.h"
#include "services/cli/out.h"

#include <stdio.h>
#include <string.h>

enum { LABEL = 12, SQL_MAX = 4096, SETTING_SHOWN = 600 };

PGresult *cli_link_load(struct cli *c, const char *condition, const char *param)
{
    char sql[SQL_MAX];

    snprintf(
        sql, sizeof(sql),
        "SELECT k.id, k.org_id, k.goal_id, g.title AS goal, k.connection_id, c.name AS connection, c.connector, "
        "k.revision, "
        "k.state::text AS state, k.settings, (SELECT string_agg(key || ' = ' || value, E'\\n' ORDER BY key) FROM "
        "jsonb_each_text(k.settings)) AS asks, "
        "k.outcome::text AS outcome, k.error, k.failures, k.failing_since, k.waiting_until, "
        "coalesce(k.paused_reason, c.paused_reason) AS paused_reason, p.email AS linked_by, k.created_at AS linked_at, "
        "g.last_slot, g.source_at, g.fetched_at, g.applied_at, extract(epoch FROM now() - g.fetched_at)::bigint AS "
        "age_seconds, (SELECT o.rows_seen FROM observation o WHERE o.goal_id = g.id ORDER BY o.slot DESC LIMIT 1) AS "
        "rows_seen, k.batch_id, b.attempt, CASE WHEN k.state = 'active' AND c.paused_reason IS NULL THEN b.next_due_at "
        "END "
        "AS next_due_at, CASE WHEN k.state = 'active' AND c.paused_reason IS NULL THEN extract(epoch FROM "
        "b.next_due_at - "
        "now())::bigint END AS next_seconds, (SELECT requested_at FROM sync_request WHERE batch_id = b.id) AS "
        "sync_requested_at, g.applied_value AS value, nullif(g.unit, '') AS "
        "unit, "
        "g.status::text AS status, round(g.progress, 4) AS progress "
        "FROM link k JOIN goal g ON g.id = k.goal_id JOIN connection c ON c.id = k.connection_id "
        "JOIN link_batch b ON b.id = k.batch_id LEFT JOIN person p ON p.id = k.linked_by WHERE %s ORDER BY k.id",
        condition);
    return cli_query(c, sql, CLI_WITH(param));
}

const char *cli_link_word(const PGresult *r, int row)
{
    const char *outcome = cli_get(r, row, "outcome");

    if (!cli_is_null(r, row, "paused_reason") || !gs_str_eq(cli_get(r, row, "state"), "active"))
        return "paused";
    if (gs_str_eq(outcome, "waiting"))
        return "waiting";
    if (cli_get_int(r, row, "failures") > 0)
        return "failing";
    return outcome[0] ? "ok" : "new";
}

const char *cli_link_advice(const PGresult *r, int row, char *dst, size_t size)
{
    const char *outcome = cli_get(r, row, "outcome"), *reason = cli_get(r, row, "paused_reason");
    const char *id = cli_get(r, row, "id"), *connection = cli_get(r, row, "connection_id");

    dst[0] = '\0';
    if (strstr(reason, "not enabled"))
        snprintf(dst, size, "switch it on: goalsync integration enable %s --org %s --accept-terms",
                 cli_get(r, row, "connector"), cli_get(r, row, "org_id"));
    else if (strstr(reason, "not allowed"))
        snprintf(dst, size, "the tenant administrator can: goalsync integration allow %s",
                 cli_get(r, row, "connector"));
    else if (gs_str_eq(cli_get(r, row, "state"), "paused"))
        snprintf(dst, size, "go on with: goalsync link resume %s", id);
    else if (reason[0])
        snprintf(dst, size, "start it with: goalsync connection edit %s --start", connection);
    else if (gs_str_eq(outcome, "denied"))
        snprintf(dst, size, "give the connection a new secret: goalsync connection edit %s --secret-stdin", connection);
    else if (gs_str_eq(outcome, "gone") || gs_str_eq(outcome, "rejected"))
        snprintf(dst, size, "change what it asks: goalsync link edit %s --set ...", id);
    else if (gs_str_eq(outcome, "waiting"))
        snprintf(dst, size, "nothing to do: it is asked again when the source allows it");
    else if (gs_str_eq(outcome, "retry") || gs_str_eq(outcome, "expired"))
        snprintf(dst, size, "it is tried again by itself; check that the source can be reached");
    return dst;
}

static void put_label(struct gs_buf *b, const char *label)
{
    struct gs_buf cell;

    gs_buf_init(&cell, 256);
    cli_put_cell(&cell, label, LABEL, false);
    cli_put_colour(b, CLI_DIM, gs_buf_str(&cell));
    gs_buf_done(&cell);
}

/* A setting's text on lines of its own indentation. */
static void put_indented(struct gs_buf *b, const char *text)
{
    size_t n = 0;

    for (; *text && n < SETTING_SHOWN; text++, n++) {
        if (*text == '\n')
            gs_buf_printf(b, "\n%*s", LABEL, "");
        else
            gs_buf_putc(b, (unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text);
    }
    gs_buf_puts(b, *text ? " ...\n" : "\n");
}

static void put_evidence(struct gs_buf *b, const PGresult *r, int row)
{
    char text[CLI_AGE_TEXT];

    put_label(b, "source");
    gs_buf_printf(b, "%s, connection %s \"%s\", link %s\n", cli_get(r, row, "connector"),
                  cli_get(r, row, "connection_id"), cli_get(r, row, "connection"), cli_get(r, row, "id"));
    put_label(b, "asks");
    put_indented(b, cli_get(r, row, "asks"));
    put_label(b, "linked");
    gs_buf_printf(b, "%.16s%s%s, revision %s\n", cli_get(r, row, "linked_at"),
                  cli_is_null(r, row, "linked_by") ? "" : " by ", cli_get(r, row, "linked_by"),
                  cli_get(r, row, "revision"));
    if (!cli_is_null(r, row, "fetched_at")) {
        put_label(b, "fetched");
        gs_buf_printf(b, "%.19sZ (%s)", cli_get(r, row, "fetched_at"),
                      cli_in_or_ago(cli_get_int(r, row, "age_seconds"), text));
        if (!cli_is_null(r, row, "source_at"))
            gs_buf_printf(b, ", source's own time %.19sZ", cli_get(r, row, "source_at"));
        if (cli_get_int(r, row, "rows_seen") > 0) /* 0, too, when a connector does not tell */
            gs_buf_printf(b, ", of %s row%s", cli_get(r, row, "rows_seen"),
                          gs_str_eq(cli_get(r, row, "rows_seen"), "1") ? "" : "s");
        gs_buf_putc(b, '\n');
    }
}

void cli_link_put(struct gs_buf *b, const PGresult *r, int row)
{
    const char *word = cli_link_word(r, row), *error = cli_get(r, row, "error"),
               *paused = cli_get(r, row, "paused_reason");
    char text[400];
    bool well = gs_str_eq(word, "ok") || gs_str_eq(word, "new");

    put_evidence(b, r, row);
    put_label(b, "next");
    if (!cli_is_null(r, row, "next_due_at"))
        gs_buf_printf(b, "%.19sZ (%s)\n", cli_get(r, row, "next_due_at"),
                      cli_get_int(r, row, "next_seconds") > 0
                          ? cli_in_or_ago(-cli_get_int(r, row, "next_seconds"), text)
                          : "now");
    else
        gs_buf_puts(b, "not asked\n");
    if (well)
        return;
    put_label(b, word);
    cli_put_colour(b, gs_str_eq(word, "failing") ? CLI_RED : CLI_YELLOW, paused[0] ? paused : error);
    if (!cli_is_null(r, row, "failing_since") && !paused[0])
        gs_buf_printf(b, " (%s time%s since %.16s)", cli_get(r, row, "failures"),
                      gs_str_eq(cli_get(r, row, "failures"), "1") ? "" : "s", cli_get(r, row, "failing_since"));
    gs_buf_putc(b, '\n');
    put_label(b, "");
    gs_buf_printf(b, "%s\n", cli_link_advice(r, row, text, sizeof(text)));
}
