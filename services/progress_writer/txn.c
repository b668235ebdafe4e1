/* The steps of one transaction. The statements of a step travel together; a step begins when all answers of the one
 * before are in and good. */
#include "services/progress_writer/txn.h"

#include "common/clock.h"
#include "common/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNIQUE_VIOLATION "23505"

enum step { STEP_NONE, STEP_OPEN, STEP_ORGS, STEP_FIRST, STEP_EDGES, STEP_LAST, STEP_ROLLBACK };

struct writer_txn {
    struct gs_pg *pg;
    struct writer_txn_spec spec;
    struct writer_work *w;
    struct gs_pg_params *params;
    enum step step;
    size_t pending;             /* answers this step waits for */
    unsigned session, begun_in; /* count of sessions; the one that BEGIN went to */
    bool failed;
    bool careful; /* a row was met that is there already; from then on for good */
    enum writer_end end;
    char err[500];
};

/* A statement under way; freed by its answer. */
struct call {
    struct writer_txn *t;
    void (*read)(void *arg, const struct gs_pg_result *r);
    void *arg;
    int64_t expected; /* rows to be touched; -1: any */
};

static void step_done(struct writer_txn *t);

static void fail(struct writer_txn *t, enum writer_end end, const char *err)
{
    if (t->failed)
        return; /* later ones are consequences */
    t->failed = true;
    t->end = end;
    snprintf(t->err, sizeof t->err, "%s", err);
}

/* Data exceptions, integrity violations and what a trigger raised are about the data; the rest is about us. */
static enum writer_end judge(struct writer_txn *t, const struct gs_pg_result *r)
{
    const char *state = gs_pg_sqlstate(r);
    if (gs_pg_rc(r) == GS_RETRY)
        return WRITER_END_AGAIN;
    if (strcmp(state, UNIQUE_VIOLATION) == 0 && !t->careful) {
        t->careful = true;
        return WRITER_END_AGAIN;
    }
    if (strncmp(state, "22", 2) == 0 || strncmp(state, "23", 2) == 0 || strncmp(state, "P0", 2) == 0)
        return WRITER_END_POISON;
    return WRITER_END_BROKEN;
}

static void on_answer(void *arg, const struct gs_pg_result *r)
{
    struct call *c = arg;
    struct writer_txn *t = c->t;
    if (gs_pg_rc(r) != GS_OK)
        fail(t, judge(t, r), gs_pg_result_error(r));
    else if (c->expected >= 0 && gs_pg_affected(r) != c->expected)
        fail(t, WRITER_END_AGAIN, "somebody else changed a goal meanwhile");
    else if (!t->failed && c->read)
        c->read(c->arg, r);
    free(c);
    if (--t->pending == 0)
        step_done(t);
}

static void send_one(struct writer_txn *t, const struct gs_pg_stmt *stmt, const struct gs_pg_params *p,
                     const struct call *c)
{
    struct call *copy = gs_alloc(sizeof *copy);
    *copy = *c;
    copy->t = t;
    t->pending++;
    gs_pg_query(t->pg, stmt, p, on_answer, copy);
}

void writer_txn_query(struct writer_txn *t, const struct gs_pg_stmt *stmt, const struct gs_pg_params *p,
                      void (*read)(void *arg, const struct gs_pg_result *r), void *arg)
{
    send_one(t, stmt, p, &(struct call){.read = read, .arg = arg, .expected = -1});
}

static void read_links(void *arg, const struct gs_pg_result *r)
{
    writer_load_links_read(arg, r);
}

static void read_orgs(void *arg, const struct gs_pg_result *r)
{
    writer_load_orgs_read(arg, r);
}

static void read_ancestors(void *arg, const struct gs_pg_result *r)
{
    writer_load_ancestors_read(arg, r);
}

static void read_averaged(void *arg, const struct gs_pg_result *r)
{
    writer_load_averaged_read(arg, r);
}

static void read_added(void *arg, const struct gs_pg_result *r)
{
    writer_load_added_read(arg, r);
}

static void open_step(struct writer_txn *t)
{
    static const struct gs_pg_stmt begin = {"begin", "BEGIN"};
    t->step = STEP_OPEN;
    writer_txn_query(t, &begin, NULL, NULL, NULL);
    t->spec.open(t->spec.arg, t);
    if (t->w->n_results == 0)
        return;
    gs_pg_params_clear(t->params);
    writer_load_links_params(t->w, t->params);
    writer_txn_query(t, &writer_load_links_stmt, t->params, read_links, t->w);
    gs_pg_params_clear(t->params);
    if (writer_load_orgs_params(t->w, t->params))
        writer_txn_query(t, &writer_load_orgs_stmt, t->params, read_orgs, t->w);
}

/* Messages name their organisation; should one be wrong, the right one is read after all. */
static bool orgs_step(struct writer_txn *t)
{
    gs_pg_params_clear(t->params);
    if (!writer_load_orgs_params(t->w, t->params))
        return false;
    t->step = STEP_ORGS;
    writer_txn_query(t, &writer_load_orgs_stmt, t->params, read_orgs, t->w);
    return true;
}

static void store(struct writer_txn *t, const struct writer_store *s)
{
    gs_pg_params_clear(t->params);
    size_t n = s->params(t->w, t->params);
    if (n > 0)
        send_one(t, t->careful && s->careful ? s->careful : s->stmt, t->params,
                 &(struct call){.expected = s->guarded ? (int64_t)n : -1});
}

static void first_step(struct writer_txn *t)
{
    t->step = STEP_FIRST;
    if (t->w->n_results > 0)
        writer_apply(t->w, gs_now_us());
    for (size_t i = 0; i < writer_store_first_n; i++)
        store(t, &writer_store_first[i]);
    if (t->w->seeds.n > 0) {
        gs_pg_params_clear(t->params);
        writer_load_ancestors_params(t->w, t->params);
        writer_txn_query(t, t->w->seeds_too ? &writer_load_seeds_stmt : &writer_load_ancestors_stmt, t->params,
                         read_ancestors, t->w);
    }
    if (t->pending == 0) /* nothing to wait for: only duplicates or failures came */
        step_done(t);
}

static void edges_step(struct writer_txn *t)
{
    t->step = STEP_EDGES;
    gs_pg_params_clear(t->params);
    if (writer_load_children_params(t->w, false, t->params))
        writer_txn_query(t, &writer_load_averaged_stmt, t->params, read_averaged, t->w);
    gs_pg_params_clear(t->params);
    if (writer_load_children_params(t->w, true, t->params))
        writer_txn_query(t, &writer_load_added_stmt, t->params, read_added, t->w);
}

static void last_step(struct writer_txn *t)
{
    static const struct gs_pg_stmt commit = {"commit", "COMMIT"};
    t->step = STEP_LAST;
    if (t->w->events.overflow) {
        fail(t, WRITER_END_POISON, "one transaction has more events than the outbox takes in a row");
        step_done(t);
        return;
    }
    for (size_t i = 0; i < writer_store_last_n; i++)
        store(t, &writer_store_last[i]);
    if (t->spec.close)
        t->spec.close(t->spec.arg, t);
    /* After a failure in this step COMMIT rolls back; the failure was noted before. */
    writer_txn_query(t, &commit, NULL, NULL, NULL);
}

static void finish(struct writer_txn *t)
{
    t->step = STEP_NONE;
    t->w = NULL;
    t->spec.done(t->spec.arg, t->end, t->err);
}

static void undo(struct writer_txn *t)
{
    static const struct gs_pg_stmt rollback = {"rollback", "ROLLBACK"};
    t->step = STEP_ROLLBACK;
    if (t->session == t->begun_in && gs_pg_up(t->pg))
        writer_txn_query(t, &rollback, NULL, NULL, NULL);
    else
        finish(t); /* the session died with its transaction */
}

static void after_open(struct writer_txn *t)
{
    if (t->step == STEP_OPEN) {
        if (t->spec.opened && !t->spec.opened(t->spec.arg)) {
            fail(t, WRITER_END_STALE, "");
            undo(t);
            return;
        }
        if (t->w->links.n > 0 && orgs_step(t))
            return;
    }
    first_step(t);
}

static void step_done(struct writer_txn *t)
{
    if (t->step != STEP_ROLLBACK && !t->failed && t->session != t->begun_in)
        fail(t, WRITER_END_AGAIN, "the connection was lost");
    if (t->step == STEP_ROLLBACK || (t->step == STEP_LAST && !t->failed)) {
        finish(t);
    } else if (t->failed) {
        undo(t);
    } else if (t->step == STEP_OPEN || t->step == STEP_ORGS) {
        after_open(t);
    } else if (t->step == STEP_FIRST && t->w->ancestors.n > 0) {
        edges_step(t);
    } else {
        if (t->step == STEP_EDGES)
            writer_roll_up(t->w, gs_now_us());
        last_step(t);
    }
}

void writer_txn_begin(struct writer_txn *t, struct writer_work *w)
{
    t->w = w;
    t->failed = false;
    t->end = WRITER_END_DONE;
    t->err[0] = '\0';
    t->begun_in = t->session;
    writer_work_reset(w);
    open_step(t);
}

bool writer_txn_running(const struct writer_txn *t)
{
    return t->step != STEP_NONE;
}

void writer_txn_session_changed(struct writer_txn *t)
{
    t->session++;
}

struct writer_txn *writer_txn_new(struct gs_pg *pg, const struct writer_txn_spec *spec)
{
    struct writer_txn *t = gs_alloc(sizeof *t);
    t->pg = pg;
    t->spec = *spec;
    t->params = gs_pg_params_new();
    return t;
}

struct writer_txn *writer_txn_free(struct writer_txn *t)
{
    if (!t)
        return NULL;
    gs_pg_params_free(t->params);
    free(t);
    return NULL;
}
