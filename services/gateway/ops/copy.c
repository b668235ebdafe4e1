/* What makes copies: postponing a goal with what stands below it, and cloning. */
#include "services/gateway/ops.h"

#include "common/goals/postpone.h"
#include "common/mem.h"
#include "common/str.h"
#include "services/gateway/copy.h"
#include "services/gateway/ending.h"
#include "services/gateway/goal.h"
#include "services/gateway/note.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the plan of a postponement ---- */

struct postponement {
    struct gw_dates dates;
    struct gw_subtree from;
    struct gs_postpone plan;
    struct gw_copied *copied;
};

static void postponement_done(struct postponement *p)
{
    gw_subtree_done(&p->from);
    PQclear(p->dates.row);
    free(p->plan.goals);
    free(p->plan.edges);
    free(p->copied);
}

static bool flag(struct gw_call *c, const char *pointer)
{
    bool yes = false;

    return gs_json_bool(gw_body(c), pointer, &yes) && yes;
}

static void fill_plan(struct postponement *p, bool keep_progress)
{
    struct gs_postpone *plan = &p->plan;

    plan->n_goals = p->from.n;
    plan->n_edges = p->from.n_edges;
    plan->goals = gs_alloc_n(plan->n_goals + 1, sizeof *plan->goals);
    plan->edges = gs_alloc_n(plan->n_edges + 1, sizeof *plan->edges);
    plan->start_day = p->dates.start_day;
    plan->end_day = p->dates.end_day;
    plan->keep_progress = keep_progress;
    for (size_t i = 0; i < plan->n_goals; i++) {
        plan->goals[i].goal = &p->from.goals[i];
        plan->goals[i].other_parents = *gw_subtree_get(&p->from, i, "other_parents") == 't';
    }
    for (size_t i = 0; i < plan->n_edges; i++) {
        const PGresult *r = p->from.edge_rows;
        plan->edges[i] = (struct gs_postpone_edge){.parent = p->from.edges[i].parent,
                                                   .child = p->from.edges[i].child,
                                                   .weight = (int32_t)gs_db_get_int(r, (int)i, "weight"),
                                                   .contributes = gs_db_get_bool(r, (int)i, "contributes"),
                                                   .position = (int32_t)gs_db_get_int(r, (int)i, "position")};
    }
}

static int read_target(struct gw_call *c, struct postponement *p, int n)
{
    char pointer[64];
    struct gs_err err;

    snprintf(pointer, sizeof pointer, "/targets/%d/goal_id", n);
    const char *id = gw_text(c, pointer);
    struct gs_postpone_goal *g = NULL;
    for (size_t i = 0; i < p->from.n && !g; i++)
        if (gs_str_eq(gw_subtree_get(&p->from, i, "public_id"), id))
            g = &p->plan.goals[i];
    if (!g)
        return gw_invalid(c, pointer, "names no goal that would be postponed");
    if (!gs_metric_is_regular(g->goal->metric))
        return gw_invalid(c, pointer, "names a %s goal; only reach, increase and decrease take a new target",
                          gs_goal_metric_name(g->goal->metric));
    if (g->has_new_target)
        return gw_invalid(c, pointer, "names a goal for the second time");
    snprintf(pointer, sizeof pointer, "/targets/%d/target", n);
    const char *target = gw_text(c, pointer);
    g->has_new_target = true;
    return gs_dec_parse(target, strlen(target), &g->new_target, &err) == GS_OK ? 0
                                                                               : gw_invalid(c, pointer, "%s", err.text);
}

static int read_targets(struct gw_call *c, struct postponement *p)
{
    int64_t n = gs_json_count(gw_body(c), "/targets");
    int status = 0;

    for (int i = 0; i < n && status == 0; i++)
        status = read_target(c, p, i);
    return status;
}

/* Each goal that is postponed along must be the caller's to edit, as if it were alone. */
static int need_rights(struct gw_call *c, const struct postponement *p)
{
    int status = 0;

    for (size_t i = 1; i < p->plan.n_goals && status == 0; i++) {
        bool may = true;
        if (p->plan.goals[i].fate == GS_LEFT)
            continue;
        status = gw_goal_may(c, gw_subtree_get(&p->from, i, "id"), GW_EDIT, &may);
        if (status == 0 && !may)
            status = gw_forbidden(c,
                                  "you may not postpone \"%.200s\", which stands below; who may edit it postpones it "
                                  "or aligns it elsewhere first",
                                  gw_subtree_get(&p->from, i, "title"));
    }
    return status;
}

static int refuse_targets(struct gw_call *c, const struct postponement *p)
{
    GS_AUTO(gs_buf_done) struct gs_buf titles;
    size_t n = 0;

    gs_buf_init(&titles, GW_BODY_MAX);
    for (size_t i = 0; i < p->plan.n_goals; i++) {
        if (p->plan.goals[i].fate != GS_REFUSED)
            continue;
        if (titles.len < 1000)
            gs_buf_printf(&titles, "%s\"%.200s\"", n ? ", " : "", gw_subtree_get(&p->from, i, "title"));
        n++;
    }
    return gw_fail(c, 422, "target-reached",
                   "%zu goals are at or past their target and need a new one for the new period, in \"targets\": "
                   "%.1200s",
                   n, gs_buf_str(&titles));
}

/* The copies' statuses are derived when they are stored: these rules need not know what day it is. With dry_run goals
 * at their targets are part of the answer. */
static int make_plan(struct gw_call *c, struct postponement *p, bool dry_run)
{
    struct gs_goal_rules rules = gs_goal_rules_default(p->dates.start_day);
    struct gs_err err;
    bool refused = false;
    int status;

    fill_plan(p, flag(c, "/keep_progress"));
    if ((status = read_targets(c, p)) != 0)
        return status;
    enum gs_rc rc = gs_postpone_plan(&p->plan, &rules, &err);
    for (size_t i = 0; i < p->plan.n_goals; i++)
        refused |= p->plan.goals[i].fate == GS_REFUSED;
    if (rc != GS_OK && !refused)
        return gw_fail(c, 422, "goal-refused", "%s", err.text);
    if ((status = need_rights(c, p)) != 0)
        return status;
    return refused && !dry_run ? refuse_targets(c, p) : 0;
}

/* ---- its answer ---- */

static void put_text(struct gs_buf *b, const char *name, const char *text)
{
    gs_buf_printf(b, ", \"%s\": ", name);
    if (text)
        gs_buf_put_json(b, text, strlen(text));
    else
        gs_buf_puts(b, "null");
}

static void put_dec(struct gs_buf *b, const char *name, bool has, struct gs_dec d)
{
    char text[GS_DEC_TEXT];

    gs_dec_format(d, text);
    put_text(b, name, has ? text : NULL);
}

static void put_planned(struct gs_buf *b, const struct postponement *p, size_t i)
{
    static const char *const fates[] = {[GS_LEFT] = "left", [GS_COPIED] = "copied", [GS_REFUSED] = "refused"};
    const struct gs_postpone_goal *g = &p->plan.goals[i];
    bool copied = g->fate == GS_COPIED;

    gs_buf_printf(b, "%s{\"goal_id\": \"%.36s\", \"fate\": \"%s\", \"other_parents\": %s", i ? ", " : "",
                  gw_subtree_get(&p->from, i, "public_id"), fates[g->fate], g->named ? "true" : "false");
    put_text(b, "title", gw_subtree_get(&p->from, i, "title"));
    put_text(b, "kind", gw_subtree_get(&p->from, i, "kind"));
    put_text(b, "copy_id", p->copied && copied ? p->copied[i].public_id : NULL);
    put_text(b, "metric", copied ? gs_goal_metric_name(g->copy.metric) : NULL);
    put_dec(b, "start", copied && g->copy.has_start, g->copy.start);
    put_dec(b, "target", copied && g->copy.has_target, g->copy.target);
    gs_buf_putc(b, '}');
}

static int answer(struct gw_call *c, const struct postponement *p)
{
    struct gs_buf *b = gw_out(c);

    gs_buf_clear(b);
    gs_buf_printf(b, "{\"done\": %s", p->copied ? "true" : "false");
    put_text(b, "copy_id", p->copied ? p->copied[0].public_id : NULL);
    put_text(b, "starts_on", p->dates.starts_on);
    put_text(b, "ends_on", p->dates.ends_on);
    gs_buf_puts(b, ", \"goals\": [");
    for (size_t i = 0; i < p->plan.n_goals; i++)
        put_planned(b, p, i);
    gs_buf_puts(b, "]}");
    return gw_answer_out(c, 200);
}

/* ---- postponing ---- */

static int store_copies(struct gw_call *c, struct postponement *p)
{
    GS_AUTO(gs_freep) const struct gs_goal **copies = gs_alloc_n(p->plan.n_goals + 1, sizeof *copies);
    GS_AUTO(gs_freep) bool *edges = gs_alloc_n(p->plan.n_edges + 1, sizeof *edges);

    for (size_t i = 0; i < p->plan.n_goals; i++)
        copies[i] = p->plan.goals[i].fate == GS_COPIED ? &p->plan.goals[i].copy : NULL;
    for (size_t i = 0; i < p->plan.n_edges; i++)
        edges[i] = p->plan.edges[i].copied;
    p->copied = gs_alloc_n(p->plan.n_goals + 1, sizeof *p->copied);
    return gw_copies_store(c,
                           &(struct gw_copying){.from = &p->from,
                                                .copies = copies,
                                                .edges = edges,
                                                .starts_on = p->dates.starts_on,
                                                .ends_on = p->dates.ends_on,
                                                .period = p->dates.period,
                                                .links = true},
                           p->copied);
}

/* One of the originals. */
static bool write_end(struct gw_call *c, const struct postponement *p, size_t i)
{
    static const char sql[] =
        "UPDATE goal SET ended_at = now(), ended_note = $2, score = NULL, score_by_hand = false WHERE id = $1 "
        "RETURNING "
        "jsonb_build_object('copy_id', $3::uuid, 'note', ended_note, 'starts_on', $4::date, 'ends_on', $5::date)";
    const char *goal = gw_subtree_get(&p->from, i, "id");

    GS_AUTO_RESULT r = gw_query(c, sql,
                                GS_WITH(goal, i == 0 ? gw_text(c, "/note") : NULL, p->copied[i].public_id,
                                        p->dates.starts_on, p->dates.ends_on));
    return r && gw_goal_activity(c, goal, "postponed", PQgetvalue(r, 0, 0)) &&
           gw_note(c, GW_GOAL_POSTPONED, goal, NULL);
}

static int end_originals(struct gw_call *c, const struct postponement *p)
{
    GS_AUTO(gs_freep) const char **goals = gs_alloc_n(p->plan.n_goals + 1, sizeof *goals);
    GS_AUTO(gs_buf_done) struct gs_buf ids;
    size_t n = 0;
    int status;

    gs_buf_init(&ids, GW_BODY_MAX);
    for (size_t i = 0; i < p->plan.n_goals; i++)
        if (p->plan.goals[i].fate == GS_COPIED)
            goals[n++] = gw_subtree_get(&p->from, i, "id");
    for (size_t i = 0; i < n; i++)
        gs_buf_printf(&ids, "%s%s", i ? "," : "{", goals[i]);
    gs_buf_putc(&ids, '}');
    status = gw_goal_recompute(c, goals, n, &(struct gw_change){.end = true, .ending = GS_POSTPONED});
    if (status)
        return status;
    for (size_t i = 0; i < p->plan.n_goals; i++)
        if (p->plan.goals[i].fate == GS_COPIED && !write_end(c, p, i))
            return gw_status(c);
    return gw_links_stop(c, gs_buf_str(&ids), GS_POSTPONED) ? gw_scores_settle(c, gs_buf_str(&ids)) : gw_status(c);
}

static int postpone(struct gw_call *c, struct postponement *p)
{
    bool dry_run = flag(c, "/dry_run");
    int status = gw_goal_need(c, gw_item(c), GW_EDIT);

    if (status == 0)
        status = gw_dates_read(c, &p->dates);
    if (status == 0 && !p->dates.starts_on)
        status = gw_invalid(c, "/period_id", "is missing; name a period, or both starts_on and ends_on");
    if (status == 0)
        status = gw_subtree_load(c, gw_item(c), false, &p->from);
    if (status == 0)
        status = make_plan(c, p, dry_run);
    if (status == 0 && !dry_run)
        status = store_copies(c, p);
    if (status == 0 && !dry_run)
        status = end_originals(c, p);
    return status ? status : answer(c, p);
}

static int goal_postpone(struct gw_call *c)
{
    struct postponement p = {0};
    int status = postpone(c, &p);

    postponement_done(&p);
    return status;
}

/* ---- cloning ---- */

/* Structure, never progress. */
static struct gs_goal blank(const struct gs_goal *goal, const struct gw_dates *dates)
{
    struct gs_goal copy = *goal;
    struct gs_goal_rules rules = gs_goal_rules_default(copy.start_day);

    copy.override = GS_NOT_OVERRIDDEN;
    copy.status = GS_NOT_STARTED;
    copy.status_by_hand = copy.has_auto = copy.has_applied = false;
    if (dates->starts_on) {
        copy.start_day = dates->start_day;
        copy.end_day = dates->end_day;
    }
    (void)gs_goal_derive(&copy, &rules);
    return copy;
}

/* Who could not make a goal of this level makes an individual one. */
static int may_make(struct gw_call *c, const char *goal, bool *ret)
{
    static const char sql[] =
        "SELECT $2::boolean OR CASE g.level WHEN 'individual' THEN true WHEN 'team' THEN NOT EXISTS (SELECT FROM "
        "goal_team t WHERE t.goal_id = g.id AND NOT EXISTS (SELECT FROM team_member m WHERE m.team_id = t.team_id AND "
        "m.person_id = calling('person'))) ELSE o.create_rule = 'everyone' OR o.create_rule = 'team_owners' AND EXISTS "
        "(SELECT FROM team_member m JOIN team t ON t.id = m.team_id WHERE m.person_id = calling('person') AND m.owner "
        "AND t.archived_at IS NULL) END AS may FROM goal g JOIN organisation o ON o.id = g.org_id WHERE g.id = $1";
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(goal, gw_who(c)->role >= GW_ADMIN ? "true" : "false"));

    if (!r)
        return gw_status(c);
    *ret = gs_db_get_bool(r, 0, "may");
    return 0;
}

static int need_open(struct gw_call *c, const char *goal)
{
    static const char sql[] = "SELECT status, title FROM goal WHERE id = $1 FOR SHARE";
    GS_AUTO_RESULT r = gw_query(c, sql, GS_WITH(goal));

    if (!r)
        return gw_status(c);
    if (PQntuples(r) == 0)
        return gw_not_found(c, "goal");
    const char *status = gs_db_get(r, 0, "status"), *title = gw_text(c, "/title");
    if (gs_str_eq(status, "closed") || gs_str_eq(status, "postponed"))
        return gw_fail(c, 409, "goal-ended", "the goal is %s; only open goals are cloned", status);
    if (title && !title[strspn(title, " \t\r\n")])
        return gw_invalid(c, "/title", "is empty; a goal needs a title");
    return 0;
}

static int store_clone(struct gw_call *c, const struct gw_dates *dates, const struct gw_subtree *from,
                       struct gw_copied *ret)
{
    bool below = true, may = false;
    GS_AUTO(gs_freep) struct gs_goal *goals = gs_alloc_n(from->n + 1, sizeof *goals);
    GS_AUTO(gs_freep) const struct gs_goal **copies = gs_alloc_n(from->n + 1, sizeof *copies);
    GS_AUTO(gs_freep) bool *edges = gs_alloc_n(from->n_edges + 1, sizeof *edges);
    int status = may_make(c, gw_item(c), &may);

    if (status)
        return status;
    (void)gs_json_bool(gw_body(c), "/below", &below);
    for (size_t i = 0; i < from->n; i++) {
        goals[i] = blank(&from->goals[i], dates);
        copies[i] = i == 0 || below ? &goals[i] : NULL;
    }
    for (size_t i = 0; i < from->n_edges; i++)
        edges[i] = below;
    return gw_copies_store(c,
                           &(struct gw_copying){.from = from,
                                                .copies = copies,
                                                .edges = edges,
                                                .starts_on = dates->starts_on,
                                                .ends_on = dates->ends_on,
                                                .period = dates->period,
                                                .title = gw_text(c, "/title"),
                                                .creator = gw_who(c)->person,
                                                .root_alone = !may,
                                                .done_tasks = true},
                           ret);
}

static int clone(struct gw_call *c, struct gw_dates *dates, struct gw_subtree *from)
{
    char location[64];
    int status = need_open(c, gw_item(c));

    if (status == 0)
        status = gw_dates_read(c, dates);
    if (status == 0)
        status = gw_subtree_load(c, gw_item(c), true, from);
    if (status)
        return status;
    GS_AUTO(gs_freep) struct gw_copied *copied = gs_alloc_n(from->n + 1, sizeof *copied);
    if ((status = store_clone(c, dates, from, copied)) != 0)
        return status;
    snprintf(location, sizeof location, "/api/v1/goals/%s", copied[0].public_id);
    gw_header_set(c, "Location", location);
    return gw_goal_show(c, 201, copied[0].id);
}

static int goal_clone(struct gw_call *c)
{
    struct gw_dates dates = {0};
    struct gw_subtree from = {0};
    int status = clone(c, &dates, &from);

    PQclear(dates.row);
    gw_subtree_done(&from);
    return status;
}

const struct gw_op gw_ops_copy[] = {
    {"goal_postpone", goal_postpone},
    {"goal_clone", goal_clone},
    {0},
};
