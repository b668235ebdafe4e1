/* One transaction's work on goals: what was loaded, what the rules made of it, what is to be stored.
 *
 * This is the seam for everybody who changes goals: load.c, apply.c, roll_up.c, store.c and txn.c know neither Kafka
 * nor offsets. The progress writer fills `results`; the day pass fills `goals` by itself; a check-in would do the same
 * and let the rest (roll-up, history, events, one transaction) run unchanged. */
#ifndef WRITER_WORK_H
#define WRITER_WORK_H

#include "common/buf.h"
#include "common/goals/goal.h"
#include "common/pg.h"
#include "services/progress_writer/result.h"
#include "services/progress_writer/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A goal and what it was when it was loaded. */
struct writer_goal {
    struct gs_goal goal;
    int64_t org_id, version;
    int64_t place;                     /* of its row, until somebody writes it */
    const struct gs_goal_rules *rules; /* of its organisation */
    struct gs_dec applied_before, progress_before;
    bool has_value_before;
    enum gs_goal_status status_before;
    unsigned changes;                   /* enum gs_goal_change */
    const struct writer_result *result; /* that changed it last; null: none did */
    unsigned waits_for;                 /* roll_up.c: ancestors among its children that are not computed yet */
};

struct writer_link {
    int64_t id;
    int32_t revision, failures, failed_attempt;
    int64_t failing_since, waiting_until, failed_slot; /* 0: null */
    int64_t last_slot, fetched_at, source_at;          /* of the goal; 0: null */
    bool active, open, answered;                       /* state; no gate is closed; the newest request had an answer */
    bool touched;                                      /* a result was applied: last_slot moves */
    bool link_changed;                                 /* outcome and failures are to be stored */
    enum writer_outcome outcome;                       /* with link_changed */
    const char *error;                                 /* borrowed from the result; with link_changed */
    struct writer_goal g;
};

struct writer_org {
    int64_t id;
    struct gs_goal_rules rules;
};

struct writer_edge {
    int64_t parent_id, child_id;
    struct gs_goal_child child; /* .goal is set by roll_up.c */
    struct gs_goal goal;        /* the child as loaded */
};

struct writer_activity {
    int64_t org_id, goal_id;
    const char *kind; /* static */
    char *data;       /* owned JSON */
};

/* When to ask a batch again, or that it was answered. */
struct writer_again {
    int64_t batch_id, delay_us, retry_at_us;
    int32_t attempt; /* 0: answered */
};

enum writer_count {
    WRITER_N_APPLIED,
    WRITER_N_UNCHANGED,
    WRITER_N_DUPLICATE,
    WRITER_N_SUPERSEDED,
    WRITER_N_PAUSED,
    WRITER_N_FAILED,
    WRITER_N_ROLLED_UP,
    WRITER_COUNTS,
};

struct writer_observation {
    const struct writer_link *link;
    const struct writer_result *result;
};

#define WRITER_LIST(type)                                                                                              \
    struct {                                                                                                           \
        type *items;                                                                                                   \
        size_t n, cap;                                                                                                 \
    }

struct writer_work {
    const struct writer_result **results; /* sorted by link, slot, attempt; borrowed */
    size_t n_results;
    int64_t period_us;                     /* of the schedule: ceiling of the pause before a retry */
    enum writer_cause own_cause, up_cause; /* of events of the goals themselves and of their ancestors */

    WRITER_LIST(struct writer_org) orgs;       /* sorted by id */
    WRITER_LIST(struct writer_link) links;     /* sorted by id */
    WRITER_LIST(struct writer_goal) goals;     /* changed without a link: the day pass */
    WRITER_LIST(struct writer_goal) ancestors; /* sorted by id, locked */
    WRITER_LIST(struct writer_edge) edges;     /* sorted by parent */
    WRITER_LIST(int64_t) seeds;                /* whose ancestors are to be rolled up; sorted */
    bool seeds_too;                            /* the seeds are in roll-up mode themselves */

    WRITER_LIST(char *) units; /* see writer_work_unit() */
    WRITER_LIST(struct writer_observation) observations;
    WRITER_LIST(struct writer_activity) activities;
    WRITER_LIST(struct writer_again) again;
    struct gs_buf events; /* OutboxEvents */
    size_t counts[WRITER_COUNTS];
    size_t outcomes[WRITER_OUTCOMES];
    int64_t oldest_fetched_us; /* of the applied results; 0: none */
};

/* Makes room for one more item, zeroes it and gives its address. */
#define writer_list_add(list)                                                                                          \
    (writer_list_grow((void **)&(list)->items, &(list)->n, &(list)->cap, sizeof *(list)->items),                       \
     &(list)->items[(list)->n - 1])
void writer_list_grow(void **items, size_t *n, size_t *cap, size_t size);

void writer_work_init(struct writer_work *w);
/* Empties everything but keeps the memory: before a try, again after a failed one, with the same results. */
void writer_work_reset(struct writer_work *w);
void writer_work_done(struct writer_work *w);
const struct gs_goal_rules *writer_work_rules(const struct writer_work *w, int64_t org_id); /* null: not loaded */
struct writer_goal *writer_work_ancestor(const struct writer_work *w, int64_t goal_id);     /* null: none of them */
/* The same text for as long as the work's lists hold, one copy of each; there are few different units. */
const char *writer_work_unit(struct writer_work *w, const char *unit);
int writer_compare_ids(const void *a, const void *b); /* for qsort and bsearch of what begins with an int64_t */
/* Answers come sorted as a rule, for the questions were: then there is nothing to move. */
void writer_sort_by_id(void *items, size_t n, size_t size);
/* After loading: remembers what the goal was. */
void writer_goal_mark(struct writer_goal *g);
/* Adds the event and the activity of a changed goal, if it changed visibly; its version grows by one then. */
void writer_work_report(struct writer_work *w, struct writer_goal *g, enum writer_cause cause, int64_t now_us);

/* ---- load.c: questions and their answers ---- */
extern const struct gs_pg_stmt writer_load_links_stmt, writer_load_orgs_stmt, writer_load_ancestors_stmt,
    writer_load_seeds_stmt, writer_load_averaged_stmt, writer_load_added_stmt;
void writer_load_links_params(const struct writer_work *w, struct gs_pg_params *p);
void writer_load_links_read(struct writer_work *w, const struct gs_pg_result *r);
/* Organisations named by the results (before the links are known) or by the links that still miss theirs. */
bool writer_load_orgs_params(const struct writer_work *w, struct gs_pg_params *p); /* false: none is missing */
void writer_load_orgs_read(struct writer_work *w, const struct gs_pg_result *r);
void writer_load_ancestors_params(const struct writer_work *w, struct gs_pg_params *p);
void writer_load_ancestors_read(struct writer_work *w, const struct gs_pg_result *r);
/* Children of the ancestors that add the values up, or of those that average; 0: there is no such ancestor. */
size_t writer_load_children_params(const struct writer_work *w, bool added, struct gs_pg_params *p);
void writer_load_averaged_read(struct writer_work *w, const struct gs_pg_result *r);
void writer_load_added_read(struct writer_work *w, const struct gs_pg_result *r);
/* The columns of a goal's definition and state, in this order, from column `col` on; all but its unit. Raw progress is
 * null where it is the shown one, here as in what is stored. */
#define WRITER_GOAL_COLUMNS                                                                                            \
    "g.ctid, g.id, g.org_id, g.version, g.kind, g.metric, g.mode, g.override, g.status, g.status_by_hand,"             \
    " g.has_value, g.start_value, g.target_value, g.risk_value, g.auto_value, g.applied_value, g.progress,"            \
    " nullif(g.raw_progress, g.progress), g.start_on, g.end_on"
#define WRITER_GOAL_COLUMNS_N 20
void writer_load_goal(const struct gs_pg_result *r, int row, int col, struct writer_goal *ret);

/* ---- apply.c, failures.c, roll_up.c: the rules on what was loaded; no I/O ---- */
void writer_apply(struct writer_work *w, int64_t now_us);
/* A result that brought no number. */
void writer_fail(struct writer_work *w, struct writer_link *l, const struct writer_result *r, int64_t now_us);
/* What the one who pushed the number says about it goes into the feed. */
void writer_note(struct writer_work *w, const struct writer_link *l, const struct writer_result *r);
/* A number came: clears what a failure left. */
void writer_recover(struct writer_work *w, struct writer_link *l, const struct writer_result *r);
void writer_again_sort(struct writer_work *w); /* by batch, one of each */
void writer_roll_up(struct writer_work *w, int64_t now_us);

/* ---- store.c: one array parameter a column ---- */
struct writer_store {
    const struct gs_pg_stmt *stmt;
    /* Fills p and returns how many rows the statement is to touch; 0: nothing to do. */
    size_t (*params)(const struct writer_work *w, struct gs_pg_params *p);
    bool guarded;                     /* another number of rows touched means that somebody else was faster */
    const struct gs_pg_stmt *careful; /* in its place once a row was met that is there already; null: the same */
};
/* Before the ancestors are loaded, so that the linked goals' rows are locked first. */
extern const struct writer_store writer_store_first[];
extern const size_t writer_store_first_n;
/* Everything else, once the ancestors are computed. */
extern const struct writer_store writer_store_last[];
extern const size_t writer_store_last_n;

#endif
