/* goalsync goal show: the number, where it came from, how old it is, what is wrong with it, and what happened. */
#include "services/cli/goal.h"

#include "common/str.h"
#include "services/cli/db.h"
#include "services/cli/link.h"
#include "services/cli/out.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FEED_DEFAULT = 10, FEED_MAX = 1000, BAR_WIDTH = 30, LABEL = 12 };

static const char goal_sql[] =
    "SELECT g.id, g.org_id, g.title, g.kind::text AS kind, g.metric::text AS metric, g.mode::text AS mode, "
    "g.override::text AS override, g.start_value AS start, g.target_value AS target, g.risk_value AS risk, "
    "nullif(g.unit, '') AS unit, g.start_on, g.end_on, p.email AS owner, g.has_value, g.applied_value AS value, "
    "g.auto_value, round(g.progress, 4) AS progress, g.status::text AS status, g.status_by_hand, g.version, "
    "g.last_slot, g.source_at, g.fetched_at, g.applied_at, extract(epoch FROM now() - g.fetched_at)::bigint AS "
    "age_seconds, "
    "(SELECT coalesce(jsonb_agg(jsonb_build_object('id', q.id, 'title', q.title) ORDER BY q.id), '[]') FROM goal_edge "
    "e "
    "JOIN goal q ON q.id = e.parent_id WHERE e.child_id = g.id) AS parents "
    "FROM goal g LEFT JOIN person p ON p.id = g.owner_id WHERE g.id = $1";

static const char children_sql[] =
    "SELECT g.id, g.title, g.kind::text AS kind, g.has_value, g.applied_value AS value, nullif(g.unit, '') AS unit, "
    "round(g.progress, 4) AS progress, g.status::text AS status, e.weight_hundredths, e.contributes "
    "FROM goal_edge e JOIN goal g ON g.id = e.child_id WHERE e.parent_id = $1 ORDER BY e.position, g.id";

/* Observations and activities in one feed, newest first. */
static const char feed_sql[] =
    "SELECT at, kind, value, person, data, extract(epoch FROM now() - at)::bigint AS age_seconds, CASE "
    "WHEN kind = 'status_changed' THEN replace(concat(data->>'from', ' -> ', data->>'to'), '_', ' ') "
    "WHEN kind IN ('checked_in', 'resumed') THEN concat_ws(', ', 'value ' || (data->>'value'), "
    "replace(data->>'status', '_', ' '), "
    "data->>'note') WHEN data ? 'error' THEN data->>'error' "
    "WHEN data ? 'connector' THEN concat_ws(', ', data->>'connector', data->>'connection', (SELECT string_agg(key || ' "
    "= ' || value, "
    "', ') FROM jsonb_each_text(data->'settings'))) END AS summary FROM ("
    "SELECT o.applied_at AS at, 'observed' AS kind, o.value, NULL::text AS person, "
    "jsonb_strip_nulls(jsonb_build_object("
    "'link_id', o.link_id, 'revision', o.revision, 'slot', o.slot, 'rows_seen', o.rows_seen, 'fetched_at', "
    "o.fetched_at, "
    "'source_at', o.source_at)) AS data FROM observation o WHERE o.goal_id = $1 "
    "UNION ALL SELECT a.at, a.kind, NULL, p.email, a.data FROM activity a LEFT JOIN person p ON p.id = a.person_id "
    "WHERE a.goal_id = $1) AS feed ORDER BY at DESC LIMIT $2::int";

struct shown {
    PGresult *goal, *link, *children, *feed;
};

static enum cli_exit load(struct cli *c, const char *id, struct shown *s)
{
    int64_t feed;
    char limit[CLI_ID_TEXT];

    if (cli_opt_int(c, "feed", (struct cli_range){FEED_DEFAULT, 0, FEED_MAX}, &feed) != CLI_OK)
        return c->code;
    snprintf(limit, sizeof(limit), "%d", (int)feed);
    s->goal = cli_query(c, goal_sql, CLI_WITH(id));
    s->link = s->goal ? cli_link_load(c, "g.id = $1", id) : NULL;
    s->children = s->link ? cli_query(c, children_sql, CLI_WITH(id)) : NULL;
    s->feed = s->children ? cli_query(c, feed_sql, CLI_WITH(id, limit)) : NULL;
    return s->feed ? CLI_OK : c->code;
}

static void print_json(const struct shown *s)
{
    struct gs_buf b;

    gs_buf_init(&b, CLI_OUT_MAX);
    cli_json_row(&b, s->goal, 0);
    b.len--; /* the closing brace: more members follow */
    gs_buf_puts(&b, ",\n \"link\":");
    if (PQntuples(s->link))
        cli_json_row(&b, s->link, 0);
    else
        gs_buf_puts(&b, "null");
    gs_buf_puts(&b, ",\n \"children\":");
    cli_json_rows(&b, s->children);
    gs_buf_puts(&b, ",\n \"feed\":");
    cli_json_rows(&b, s->feed);
    gs_buf_puts(&b, "}\n");
    cli_print_buf(&b);
}

static void put_label(struct gs_buf *b, const char *label)
{
    struct gs_buf cell;

    gs_buf_init(&cell, 256);
    cli_put_cell(&cell, label, LABEL, false);
    cli_put_colour(b, CLI_DIM, gs_buf_str(&cell));
    gs_buf_done(&cell);
}

static void put_number(struct gs_buf *b, const PGresult *r, const char *col)
{
    char text[CLI_NUMBER_TEXT];

    gs_buf_puts(b, cli_is_null(r, 0, col) ? "-" : cli_number(cli_get(r, 0, col), text));
}

static void put_metric(struct gs_buf *b, const PGresult *g)
{
    const char *metric = cli_get(g, 0, "metric"), *unit = cli_get(g, 0, "unit");
    char words[40];

    if (gs_str_eq(metric, "percent")) {
        gs_buf_puts(b, "percent complete");
        return;
    }
    gs_buf_puts(b, cli_words(metric, words));
    if (!cli_is_null(g, 0, "start")) {
        gs_buf_puts(b, " from ");
        put_number(b, g, "start");
    }
    if (!cli_is_null(g, 0, "target")) {
        gs_buf_puts(b, cli_is_null(g, 0, "start") ? " " : " to ");
        put_number(b, g, "target");
    }
    gs_buf_printf(b, "%s%s", unit[0] ? " " : "", unit);
}

static void put_head(struct gs_buf *b, const PGresult *g)
{
    char words[40], text[80];
    const char *status = cli_get(g, 0, "status");
    bool shows = cli_get_bool(g, 0, "has_value") && !gs_str_eq(cli_get(g, 0, "metric"), "baseline");
    double percent = shows ? strtod(cli_get(g, 0, "progress"), NULL) : 0;

    cli_put_colour(b, CLI_BOLD, cli_get(g, 0, "title"));
    gs_buf_printf(b, "\n%s %s, ", cli_words(cli_get(g, 0, "kind"), words), cli_get(g, 0, "id"));
    put_metric(b, g);
    gs_buf_printf(b, ", %s to %s%s%s\n\n", cli_get(g, 0, "start_on"), cli_get(g, 0, "end_on"),
                  cli_is_null(g, 0, "owner") ? "" : ", owner ", cli_get(g, 0, "owner"));
    cli_put_bar(b, percent, BAR_WIDTH, cli_status_colour(status));
    snprintf(text, sizeof(text), shows ? "  %.0f%%  " : "  -  ", percent);
    gs_buf_puts(b, text);
    snprintf(text, sizeof(text), "%s %s", cli_unicode() ? "\xe2\x97\x8f" : "*", cli_words(status, words));
    cli_put_colour(b, cli_status_colour(status), text);
    gs_buf_printf(b, "%s\n\n", cli_get_bool(g, 0, "status_by_hand") ? " (set by hand)" : "");
}

static void put_value(struct gs_buf *b, const PGresult *g)
{
    char words[40], age[CLI_AGE_TEXT];
    const char *unit = cli_get(g, 0, "unit");

    put_label(b, "value");
    if (cli_is_null(g, 0, "value"))
        gs_buf_puts(b, "none yet");
    else
        put_number(b, g, "value");
    gs_buf_printf(b, "%s%s", unit[0] && !cli_is_null(g, 0, "value") ? " " : "", cli_is_null(g, 0, "value") ? "" : unit);
    if (!cli_is_null(g, 0, "fetched_at"))
        gs_buf_printf(b, ", asked %s", cli_in_or_ago(cli_get_int(g, 0, "age_seconds"), age));
    gs_buf_putc(b, '\n');
    put_label(b, "mode");
    gs_buf_puts(b, cli_words(cli_get(g, 0, "mode"), words));
    if (!gs_str_eq(cli_get(g, 0, "override"), "none")) {
        gs_buf_printf(b, ", overridden by hand (%s); automatic value ", cli_words(cli_get(g, 0, "override"), words));
        put_number(b, g, "auto_value");
    }
    gs_buf_putc(b, '\n');
}

static void put_children(struct gs_buf *b, const PGresult *r)
{
    char words[40], weight[40];

    if (PQntuples(r))
        cli_put_colour(b, CLI_DIM, "\nchildren\n");
    for (int i = 0; i < PQntuples(r); i++) {
        const char *status = cli_get(r, i, "status");
        bool has_value = cli_get_bool(r, i, "has_value");
        snprintf(weight, sizeof(weight), "%s", "");
        if (!cli_get_bool(r, i, "contributes"))
            snprintf(weight, sizeof(weight), "  does not contribute");
        else if (!cli_is_null(r, i, "weight_hundredths"))
            snprintf(weight, sizeof(weight), "  weight %.4g%%", (double)cli_get_int(r, i, "weight_hundredths") / 100);
        gs_buf_printf(b, "  %5s  ", cli_get(r, i, "id"));
        cli_put_cell(b, cli_get(r, i, "title"), 44, false);
        gs_buf_puts(b, "  ");
        cli_put_bar(b, has_value ? strtod(cli_get(r, i, "progress"), NULL) : 0, 10, cli_status_colour(status));
        if (has_value)
            gs_buf_printf(b, " %4.0f%%  ", strtod(cli_get(r, i, "progress"), NULL));
        else
            gs_buf_puts(b, "     -  ");
        cli_put_colour(b, cli_status_colour(status), cli_words(status, words));
        gs_buf_printf(b, "%s\n", weight);
    }
}

static void put_feed(struct gs_buf *b, const PGresult *r, int columns)
{
    enum { AGE = 13, KIND = 17 };
    char age[CLI_AGE_TEXT], number[CLI_NUMBER_TEXT], words[40];

    if (PQntuples(r))
        cli_put_colour(b, CLI_DIM, "\nfeed\n");
    for (int i = 0; i < PQntuples(r); i++) {
        const char *summary = cli_get(r, i, "summary");
        int room = columns - 2 - AGE - KIND, width = cli_width(summary);
        gs_buf_puts(b, "  ");
        cli_put_cell(b, cli_in_or_ago(cli_get_int(r, i, "age_seconds"), age), AGE, false);
        cli_put_cell(b, cli_words(cli_get(r, i, "kind"), words), KIND, false);
        if (!cli_is_null(r, i, "value"))
            gs_buf_puts(b, cli_number(cli_get(r, i, "value"), number));
        else
            cli_put_cell(b, summary, width < room ? width : room > 20 ? room : 20, false);
        gs_buf_printf(b, "%s%s\n", cli_is_null(r, i, "person") ? "" : "  by ", cli_get(r, i, "person"));
    }
}

static void print_people(const struct shown *s)
{
    struct gs_buf b;
    int columns, rows;

    cli_terminal_init();
    cli_terminal_size(&columns, &rows);
    gs_buf_init(&b, CLI_OUT_MAX);
    put_head(&b, s->goal);
    put_value(&b, s->goal);
    if (PQntuples(s->link))
        cli_link_put(&b, s->link, 0);
    put_children(&b, s->children);
    put_feed(&b, s->feed, columns);
    cli_print_buf(&b);
}

enum cli_exit cli_goal_show(struct cli *c)
{
    struct shown s = {0};
    char id[CLI_ID_TEXT];
    enum cli_exit rc = cli_db_open(c);

    if (rc == CLI_OK)
        rc = cli_find(c, CLI_GOAL, cli_arg(c, 0), id);
    if (rc == CLI_OK)
        rc = load(c, id, &s);
    if (rc == CLI_OK && c->json)
        print_json(&s);
    else if (rc == CLI_OK)
        print_people(&s);
    PQclear(s.goal);
    PQclear(s.link);
    PQclear(s.children);
    PQclear(s.feed);
    return rc;
}
