/* Draws the goals of an organisation: a tree with bars, values, statuses, ages and next slots. */
#include "services/cli/tree.h"

#include "common/str.h"
#include "services/cli/db.h"
#include "services/cli/goal.h"
#include "services/cli/out.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DEPTH_MAX = 16,
    PREFIX_MAX = DEPTH_MAX * 12,
    TITLE_MIN = 21,
    AGE_WIDTH = 5 + 2,
    NEXT_WIDTH = 7 + 2,
    VALUE_MAX = 26,
    VALUE_TEXT = 200,
    TROUBLES_MAX = 5
};

static const char goals_sql[] =
    "SELECT g.id, g.title, g.kind::text AS kind, g.metric::text AS metric, g.mode::text AS mode, g.override::text AS "
    "override, "
    "g.start_value AS start, g.target_value AS target, g.applied_value AS value, nullif(g.unit, '') AS unit, "
    "g.has_value, "
    "round(g.progress, 4) AS progress, g.status::text AS status, p.email AS owner, g.start_on, g.end_on, "
    "(SELECT coalesce(jsonb_agg(e.parent_id ORDER BY e.parent_id), '[]') FROM goal_edge e WHERE e.child_id = g.id) AS "
    "parents, "
    "g.fetched_at, g.source_at, g.applied_at, extract(epoch FROM now() - g.fetched_at)::bigint AS age_seconds, "
    "k.id AS link_id, k.state::text AS link_state, k.outcome::text AS outcome, k.failures, k.error, k.waiting_until, "
    "coalesce(k.paused_reason, c.paused_reason) AS paused_reason, "
    "CASE WHEN k.state = 'active' AND c.paused_reason IS NULL THEN b.next_due_at END AS next_due_at, "
    "CASE WHEN k.state = 'active' AND c.paused_reason IS NULL THEN extract(epoch FROM b.next_due_at - now())::bigint "
    "END AS "
    "next_seconds, g.version "
    "FROM goal g LEFT JOIN person p ON p.id = g.owner_id LEFT JOIN link k ON k.goal_id = g.id "
    "LEFT JOIN connection c ON c.id = k.connection_id LEFT JOIN link_batch b ON b.id = k.batch_id "
    "WHERE g.org_id = $1 ORDER BY g.id LIMIT $2::int";

enum cli_exit cli_tree_load(struct cli *c, struct cli_tree *t)
{
    char limit[CLI_ID_TEXT];

    snprintf(limit, sizeof(limit), "%d", CLI_GOALS_MAX);
    *t = (struct cli_tree){0};
    t->org = cli_query(
        c, "SELECT name, to_char(now() AT TIME ZONE time_zone, 'HH24:MI:SS') AS clock FROM organisation WHERE id = $1",
        CLI_WITH(c->org));
    t->goals = t->org ? cli_query(c, goals_sql, CLI_WITH(c->org, limit)) : NULL;
    t->edges = t->goals ? cli_query(c,
                                    "SELECT parent_id, child_id FROM goal_edge WHERE org_id = $1 "
                                    "ORDER BY parent_id, position, child_id",
                                    CLI_WITH(c->org))
                        : NULL;
    t->troubles =
        t->edges
            ? cli_query(c,
                        "SELECT k.id, g.title, k.error FROM link k JOIN goal g ON g.id = k.goal_id "
                        "WHERE k.org_id = $1 AND k.failures > 0 AND k.error IS NOT NULL ORDER BY k.failing_since, k.id",
                        CLI_WITH(c->org))
            : NULL;
    return t->troubles ? CLI_OK : c->code;
}

void cli_tree_done(struct cli_tree *t)
{
    PQclear(t->goals);
    PQclear(t->edges);
    PQclear(t->troubles);
    PQclear(t->org);
    *t = (struct cli_tree){0};
}

uint64_t cli_tree_fingerprint(const struct cli_tree *t)
{
    static const char *const columns[] = {"id",      "title",   "status",   "value",
                                          "version", "outcome", "failures", "paused_reason"};
    uint64_t hash = 0;

    for (int row = 0; row < PQntuples(t->goals); row++)
        for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
            const char *text = cli_get(t->goals, row, columns[i]);
            hash = gs_hash64(text, strlen(text), hash);
        }
    return hash;
}

/* ---- drawing ---- */

struct layout {
    const struct cli_tree *t;
    struct gs_buf *b;
    int id, title, bar, value; /* columns; 0: left out */
    bool age, next;
    int left, lines; /* lines that may still be drawn; drawn */
};

/* "512 of 600 ms"; dst has VALUE_TEXT bytes. */
static const char *value_text(const PGresult *r, int row, char *dst)
{
    char value[CLI_NUMBER_TEXT], target[CLI_NUMBER_TEXT];
    const char *unit = cli_get(r, row, "unit");
    bool has_target = !cli_is_null(r, row, "target");

    dst[0] = '\0';
    if (gs_str_eq(cli_get(r, row, "metric"), "percent") && gs_str_eq(cli_get(r, row, "mode"), "roll_up"))
        return dst; /* no number of its own beside its progress */
    if (cli_is_null(r, row, "value")) {
        if (has_target)
            snprintf(dst, VALUE_TEXT, "- of %s %s", cli_number(cli_get(r, row, "target"), target), unit);
    } else if (has_target) {
        snprintf(dst, VALUE_TEXT, "%s of %s %s", cli_number(cli_get(r, row, "value"), value),
                 cli_number(cli_get(r, row, "target"), target), unit);
    } else {
        snprintf(dst, VALUE_TEXT, "%s %s", cli_number(cli_get(r, row, "value"), value),
                 unit[0]                                           ? unit
                 : gs_str_eq(cli_get(r, row, "metric"), "percent") ? "%"
                                                                   : "");
    }
    for (size_t len = strlen(dst); len && dst[len - 1] == ' '; len--)
        dst[len - 1] = '\0';
    return dst;
}

/* Rows come by id: the last has the longest. */
static int id_width(const PGresult *r)
{
    int width = PQntuples(r) ? cli_width(cli_get(r, PQntuples(r) - 1, "id")) : 0;

    return width < 2 ? 2 : width;
}

static void choose_layout(struct layout *l, int columns)
{
    char text[VALUE_TEXT];
    int rest;

    for (int row = 0; row < PQntuples(l->t->goals); row++) {
        int w = cli_width(value_text(l->t->goals, row, text));
        l->value = w > l->value ? w : l->value;
    }
    l->value = l->value > VALUE_MAX ? VALUE_MAX : l->value < 5 ? 5 : l->value;
    l->bar = columns >= 120 ? 20 : columns >= 90 ? 12 : 8;
    l->age = l->next = true;
    /* percent 4, status 13, two columns between all; what does not fit is left out, the least telling first. */
    rest = columns - (l->bar + 2) - (4 + 1) - (13 + 2) - (l->value + 2) - AGE_WIDTH - NEXT_WIDTH;
    l->id = id_width(l->t->goals);
    if (rest - (l->id + 2) < TITLE_MIN)
        l->id = 0;
    else
        rest -= l->id + 2;
    if (rest < TITLE_MIN) {
        rest += l->bar - 4;
        l->bar = 4;
    }
    if (rest < TITLE_MIN) {
        l->next = false;
        rest += NEXT_WIDTH;
    }
    if (rest < TITLE_MIN) {
        l->age = false;
        rest += AGE_WIDTH;
    }
    if (rest < TITLE_MIN) {
        rest += l->value + 2;
        l->value = 0;
    }
    if (rest < TITLE_MIN) {
        rest += l->bar + 2;
        l->bar = 0;
    }
    l->title = rest < 8 ? 8 : rest > 60 ? 60 : rest;
}

static void end_line(struct layout *l)
{
    gs_buf_putc(l->b, '\n');
    l->lines++;
    l->left--;
}

static void put_column(struct gs_buf *b, enum cli_colour colour, const char *text, int width, bool right)
{
    struct gs_buf cell;

    gs_buf_init(&cell, 4096);
    cli_put_cell(&cell, text, width, right);
    cli_put_colour(b, colour, gs_buf_str(&cell));
    gs_buf_done(&cell);
}

static void put_id(struct layout *l, const char *text)
{
    if (!l->id)
        return;
    put_column(l->b, CLI_DIM, text, l->id, true);
    gs_buf_puts(l->b, "  ");
}

static void put_heading(struct layout *l)
{
    put_id(l, "ID");
    put_column(l->b, CLI_DIM, "GOAL", l->title, false);
    put_column(l->b, CLI_DIM, l->bar ? "  PROGRESS" : "DONE", l->bar ? l->bar + 2 + 4 + 1 : 4 + 1, !l->bar);
    put_column(l->b, CLI_DIM, "  STATUS", 13 + 2, false);
    if (l->value) {
        gs_buf_puts(l->b, "  ");
        put_column(l->b, CLI_DIM, "VALUE", l->value, true);
    }
    if (l->age)
        put_column(l->b, CLI_DIM, "AGE", AGE_WIDTH, true);
    if (l->next)
        put_column(l->b, CLI_DIM, "NEXT", NEXT_WIDTH, true);
    end_line(l);
}

/* When it is asked again, or the word that says why it is not. */
static void put_next(struct layout *l, int row)
{
    const PGresult *r = l->t->goals;
    char text[CLI_AGE_TEXT];
    int64_t seconds = cli_get_int(r, row, "next_seconds");
    enum cli_colour colour = CLI_DIM;
    const char *word = cli_age_short(seconds, text);

    if (cli_is_null(r, row, "link_id"))
        word = "";
    else if (!cli_is_null(r, row, "paused_reason") || !gs_str_eq(cli_get(r, row, "link_state"), "active")) {
        word = "paused";
        colour = CLI_YELLOW;
    } else if (cli_get_int(r, row, "failures") > 0) {
        word = gs_str_eq(cli_get(r, row, "outcome"), "waiting") ? "waiting" : "failing";
        colour = word[0] == 'w' ? CLI_YELLOW : CLI_RED;
    } else if (seconds <= 0)
        word = "now";
    put_column(l->b, colour, word, NEXT_WIDTH, true);
}

static void put_goal(struct layout *l, int row, const char *prefix)
{
    const PGresult *r = l->t->goals;
    char text[VALUE_TEXT], words[40];
    const char *status = cli_get(r, row, "status");
    bool has_progress = cli_get_bool(r, row, "has_value"), baseline = gs_str_eq(cli_get(r, row, "metric"), "baseline");
    double percent = has_progress && !baseline ? strtod(cli_get(r, row, "progress"), NULL) : 0;
    enum cli_colour colour = cli_status_colour(status);
    int indent = cli_width(prefix);

    put_id(l, cli_get(r, row, "id"));
    cli_put_colour(l->b, CLI_DIM, prefix);
    put_column(l->b, indent ? CLI_PLAIN : CLI_BOLD, cli_get(r, row, "title"),
               l->title - indent > 4 ? l->title - indent : 4, false);
    if (l->bar) {
        gs_buf_puts(l->b, "  ");
        cli_put_bar(l->b, percent, l->bar, colour);
    }
    snprintf(text, sizeof(text), has_progress && !baseline ? "%.0f%%" : "-", percent);
    put_column(l->b, CLI_PLAIN, text, 4 + 1, true);
    snprintf(text, sizeof(text), "  %s %s", cli_unicode() ? "\xe2\x97\x8f" : "*", cli_words(status, words));
    put_column(l->b, colour, text, 13 + 2, false);
    if (l->value) {
        gs_buf_puts(l->b, "  ");
        put_column(l->b, CLI_PLAIN, value_text(r, row, text), l->value, true);
    }
    if (l->age)
        put_column(l->b, CLI_DIM,
                   cli_is_null(r, row, "fetched_at") ? "" : cli_age_short(cli_get_int(r, row, "age_seconds"), text),
                   AGE_WIDTH, true);
    if (l->next)
        put_next(l, row);
    end_line(l);
}

static int row_of(const PGresult *goals, int64_t id)
{
    int low = 0, high = PQntuples(goals);

    while (low < high) {
        int middle = (low + high) / 2;
        int64_t here = cli_get_int(goals, middle, "id");
        if (here == id)
            return middle;
        if (here < id)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}

/* The first edge of a parent, or one beyond the last smaller one. */
static int first_edge(const PGresult *edges, int64_t parent)
{
    int low = 0, high = PQntuples(edges);

    while (low < high) {
        int middle = (low + high) / 2;
        if (cli_get_int(edges, middle, "parent_id") < parent)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool edge_below(const PGresult *edges, int i, int64_t parent)
{
    return i < PQntuples(edges) && cli_get_int(edges, i, "parent_id") == parent;
}

/* A goal, and below it its children; a goal with two parents appears below both. `lead` stands before the children's
 * lines. */
static void put_subtree(struct layout *l, int row, const char *prefix, const char *lead, int depth)
{
    static const char *const branches[][2] = {{"|- ", "`- "},
                                              {"\xe2\x94\x9c\xe2\x94\x80 ", "\xe2\x94\x94\xe2\x94\x80 "}};
    static const char *const trunks[] = {"|  ", "\xe2\x94\x82  "};
    int64_t id = cli_get_int(l->t->goals, row, "id");

    if (l->left <= 0)
        return;
    put_goal(l, row, prefix);
    for (int i = first_edge(l->t->edges, id); depth < DEPTH_MAX && edge_below(l->t->edges, i, id); i++) {
        bool last = !edge_below(l->t->edges, i + 1, id);
        int child = row_of(l->t->goals, cli_get_int(l->t->edges, i, "child_id"));
        char child_prefix[PREFIX_MAX], child_lead[PREFIX_MAX];
        snprintf(child_prefix, sizeof(child_prefix), "%s%s", lead, branches[cli_unicode()][last]);
        snprintf(child_lead, sizeof(child_lead), "%s%s", lead, last ? "   " : trunks[cli_unicode()]);
        if (child >= 0)
            put_subtree(l, child, child_prefix, child_lead, depth + 1);
    }
}

static void put_troubles(struct layout *l, int columns)
{
    const PGresult *r = l->t->troubles;
    char text[1024];

    for (int i = 0; i < PQntuples(r) && i < TROUBLES_MAX && l->left > 0; i++) {
        if (i == 0 && l->left > 1)
            end_line(l);
        snprintf(text, sizeof(text), "! link %s, %.60s: %.600s", cli_get(r, i, "id"), cli_get(r, i, "title"),
                 cli_get(r, i, "error"));
        put_column(l->b, CLI_RED, text, columns < cli_width(text) ? columns : cli_width(text), false);
        end_line(l);
    }
}

int cli_tree_put(const struct cli_tree *t, int columns, int rows, struct gs_buf *b)
{
    struct layout l = {.t = t, .b = b, .left = rows > 0 ? rows : CLI_GOALS_MAX};
    int troubles = PQntuples(t->troubles) < TROUBLES_MAX ? PQntuples(t->troubles) : TROUBLES_MAX;
    int kept = troubles && l.left > 2 * (troubles + 1) ? troubles + 1 : 0;

    choose_layout(&l, columns);
    put_heading(&l);
    /* On a small screen the reasons of failures come before the last goals. */
    l.left -= kept + (rows > 0);
    for (int row = 0; row < PQntuples(t->goals); row++)
        if (gs_str_eq(cli_get(t->goals, row, "parents"), "[]"))
            put_subtree(&l, row, "", "", 0);
    if (rows > 0 && l.left <= 0) {
        put_column(b, CLI_DIM, cli_unicode() ? "\xe2\x80\xa6 more goals than lines" : "... more goals than lines",
                   columns, false);
        end_line(&l);
    }
    l.left = kept;
    put_troubles(&l, columns);
    return l.lines;
}
