/* Goals as a sheet: the operation goal_export. */
#include "common/str.h"
#include "services/gateway/goal_filter.h"
#include "services/gateway/graph.h"
#include "services/gateway/sheet_goal.h"
#include "services/gateway/transfer.h"

/* $1: rows, $2 unused; columns in the order of enum gw_column. */
#define ADDRESS(id) "(SELECT p.email FROM person p WHERE p.id = " id ")"
/* Both lists in the order of the same edges. */
#define EDGES "FROM goal_edge e JOIN goal p ON p.id = e.parent_id WHERE e.child_id = g.id)"
static const char export_sql[] =
    "SELECT g.public_id, g.external_id, replace(g.kind::text, '_', ' '), g.title, g.description, (SELECT "
    "string_agg(p.email, '; ' ORDER BY x.place, p.id) FROM (SELECT g.owner_id AS id, 0 AS place UNION ALL SELECT "
    "o.person_id, 1 FROM goal_co_owner o WHERE o.goal_id = g.id) x JOIN person p ON p.id = x.id), g.level, (SELECT "
    "string_agg(t.name, '; ' ORDER BY t.id) FROM goal_team x JOIN team t ON t.id = x.team_id WHERE x.goal_id = g.id), "
    "(SELECT string_agg(p.public_id::text, '; ' ORDER BY e.parent_id) " EDGES ", "
    "(SELECT string_agg(coalesce(round(e.weight_hundredths / 100.0, 2)::text, ''), '; ' ORDER BY e.parent_id) " EDGES
    ", (SELECT string_agg(CASE WHEN e.contributes THEN 'yes' ELSE 'no' END, '; ' ORDER BY e.parent_id) " EDGES
    ", (SELECT x.name FROM period x WHERE x.id = g.period_id), g.start_on, g.end_on, g.metric, g.unit, "
    "trim_scale(g.start_value), trim_scale(g.target_value), trim_scale(g.risk_value), CASE WHEN g.has_value THEN "
    "trim_scale(g.applied_value) END, CASE WHEN g.has_value THEN trim_scale(round(g.progress, 4)) END, "
    "replace(g.status::text, '_', ' '), trim_scale(g.score), replace(g.mode::text, '_', ' '), (SELECT "
    "string_agg(x.tag, '; ' ORDER BY x.tag) FROM goal_tag x WHERE x.goal_id = g.id), " ADDRESS(
        "g.delegate_id") ", " ADDRESS("g.check_in_owner_id") ", g.private, g.aspirational FROM goal g "
                                                             "WHERE " GW_GOAL_FILTERS
                                                             "AND $2::text IS NULL ORDER BY g.id LIMIT $1::int";

struct writer {
    bool csv;
    struct gs_buf text;
    struct gw_xlsx xlsx;
};

static void put_cell(struct writer *w, int col, const char *text)
{
    if (w->csv)
        gw_csv_put(&w->text, col == 0, text);
    else
        gw_xlsx_put(&w->xlsx, text, gw_column_is_number((enum gw_column)col));
}

static void end_row(struct writer *w)
{
    if (w->csv)
        gw_csv_end(&w->text);
    else
        gw_xlsx_end_row(&w->xlsx);
}

static const char *shown(const PGresult *r, int row, int col)
{
    const char *text = PQgetvalue(r, row, col);

    if (col == GW_COL_PRIVATE || col == GW_COL_ASPIRATIONAL)
        return *text == 't' ? "yes" : "no";
    return text;
}

static void write_rows(struct writer *w, const PGresult *r)
{
    for (int col = 0; col < GW_COLUMNS_EXPORTED; col++)
        put_cell(w, col, gw_column_titles[col]);
    end_row(w);
    for (int i = 0; i < PQntuples(r); i++) {
        for (int col = 0; col < GW_COLUMNS_EXPORTED; col++)
            put_cell(w, col, shown(r, i, col));
        end_row(w);
    }
}

static int answer_file(struct gw_call *c, struct writer *w)
{
    struct gs_err err;

    gw_header_set(c, "Content-Disposition",
                  w->csv ? "attachment; filename=\"goals.csv\"" : "attachment; filename=\"goals.xlsx\"");
    if (!w->csv && gw_xlsx_finish(&w->xlsx, "Goals", &w->text, &err) != GS_OK)
        return gw_fail(c, 409, "too-many", "%s", err.text);
    if (w->text.overflow)
        return gw_fail(c, 409, "too-many", "the file would be too large; export a part of the goals");
    return gw_answer_text(c, 200,
                          w->csv ? "text/csv" : "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
                          gs_buf_str(&w->text), w->text.len);
}

int gw_goal_export(struct gw_call *c)
{
    struct writer w = {.csv = gs_str_eq(gw_param(c, "format"), "csv")};
    int status;
    GS_AUTO_RESULT r =
        gw_query(c, export_sql,
                 GS_WITH("5001", NULL, gw_param(c, "period_id"), gw_param(c, "owner_id"), gw_param(c, "team_id"),
                         gw_param(c, "tag"), gw_param(c, "status"), gw_param(c, "kind"), gw_param(c, "level"),
                         gw_param(c, "mode"), gw_param(c, "integration"), gw_param(c, "parent_id"),
                         gw_param(c, "roots"), gw_param(c, "q"), gw_param(c, "progress_min"),
                         gw_param(c, "progress_max"), gw_param(c, "updated_since")));

    if (!r)
        return gw_status(c);
    if (PQntuples(r) > GW_GRAPH_GOALS_MAX)
        return gw_fail(c, 409, "too-many", "there are more than %d goals; export a part of them by the filters",
                       GW_GRAPH_GOALS_MAX);
    if (!gw_transfer_audit(c, "goals.exported", w.csv ? "csv" : "xlsx", (size_t)PQntuples(r)))
        return gw_status(c);
    gs_buf_init(&w.text, GW_ANSWER_MAX);
    if (w.csv)
        gs_buf_puts(&w.text, "\xef\xbb\xbf"); /* without it Excel takes UTF-8 for something else */
    else
        gw_xlsx_begin(&w.xlsx, GW_ANSWER_MAX);
    write_rows(&w, r);
    status = answer_file(c, &w);
    gs_buf_done(&w.text);
    return status;
}
