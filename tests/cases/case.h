/* A case: one recorded or written conversation of a connector with its source, and what must come out. See README.md.
 */
#ifndef TESTS_CASES_CASE_H
#define TESTS_CASES_CASE_H

#include "common/buf.h"
#include "services/fetch/catalogue.h"
#include "services/fetch/task.h"

enum case_limits {
    CASE_FILE_MAX = 4 * 1024 * 1024, /* recorded answers are long */
    CASE_LINES_MAX = 400,
    CASE_PAIRS_MAX = 24,
    CASE_EXCHANGES_MAX = 8,
    CASE_TARGETS_MAX = 8,
    CASE_COLUMNS_MAX = 12,
    CASE_ROWS_MAX = 2, /* what the SQL wires read */
};

struct case_pair {
    const char *name, *value;
};

struct case_pairs {
    struct case_pair at[CASE_PAIRS_MAX];
    size_t n;
};

/* What the connector must ask, and what it is answered. */
struct case_exchange {
    const char *method, *url, *sql;
    struct case_pairs queries, headers;
    const char *spends; /* the budget it is taken from; null: any */
    const char *sent;   /* the request's body; null: there is none, or any */
    /* HTTP */
    long status;
    struct case_pairs reply_headers;
    const char *body;
    size_t body_len;
    /* SQL */
    int rows, cols;
    const char *types[CASE_COLUMNS_MAX], *values[CASE_ROWS_MAX * CASE_COLUMNS_MAX];
    /* No answer came. */
    enum gs_rc failure;
    const char *failure_text;
};

struct case_outcome {
    enum fetch_outcome outcome;
    struct gs_dec value;
    bool percent;
    const char *text; /* part of the error, or "" */
    int64_t until_us; /* of a wait; 0: any */
    int64_t seen;     /* rows; -1: any */
};

struct test_case {
    char *path, *text; /* everything points into text */
    int64_t now_us;
    struct case_pairs connection, links[CASE_TARGETS_MAX];
    size_t n_links;
    const char *refused; /* the settings must be refused with a sentence that holds this; or null */
    struct case_exchange exchanges[CASE_EXCHANGES_MAX];
    size_t n_exchanges;
    struct case_outcome outcomes[CASE_TARGETS_MAX];
    size_t n_outcomes;
    bool pages;      /* its answers are pages of one list: each but the last leads to the next */
    bool any_number; /* the connector reads any number, so that a broken answer may hold another one */
};

/* Prints what is wrong and returns null. */
struct test_case *case_read(const char *path);
struct test_case *case_free(struct test_case *c);

/* The settings of a case, ready for tasks. */
struct case_settings {
    struct fetch_settings *connection, *links[CASE_TARGETS_MAX];
    size_t n;
};
enum gs_rc case_settings_read(const struct test_case *c, const struct fetch_connector *connector,
                              struct case_settings *ret, struct gs_err *err) GS_MUST_CHECK;
void case_settings_done(struct case_settings *s);
struct fetch_settings *case_settings_pairs(const struct fetch_field *fields, const struct case_pairs *pairs,
                                           struct gs_err *err);

/* Called with each exchange that the task asks for, before it is answered; false ends the case. */
typedef bool (*case_watch_fn)(void *arg, const struct fetch_exchange *asked, size_t i);

/* Plays the case's answers to a task of its own. Null: the case has fewer answers than the connector has questions, or
 * watch ended it. The caller frees the task. */
struct fetch_task *case_play(const struct test_case *c, const struct fetch_connector *connector,
                             const struct case_settings *s, case_watch_fn watch, void *arg);

/* Whether target i of a finished task came out as said; prints the difference. */
bool case_outcome_matches(const struct test_case *c, const struct fetch_task *t, size_t i);

/* One case as a JSON object; what a connector is, as another. */
void case_put_json(const struct test_case *c, const struct fetch_connector *connector, struct gs_buf *b);
void case_put_connector(const struct fetch_entry *e, struct gs_buf *b);

/* Breaks every answer of a case that ends in values, and demands that no wrong value comes out. Returns the number of
 * broken answers that were taken for good; *ret_tried: of all. */
int case_mutate(const struct test_case *c, const struct fetch_connector *connector, int *ret_tried);

/* Whether the connector's data holds together: labels, forms, ways to sign in, hosts, the trial. Returns the number of
 * mistakes, each printed. */
int case_connector(const struct fetch_entry *e);

/* Changes each field of the case's first link, and demands of links that still have its batch key that they are asked
 * for when both are asked together; and that the case's own links have one key. Returns the number of those that are
 * not; *ret_tried: of all. */
int case_batch(const struct test_case *c, const struct fetch_connector *connector, int *ret_tried);

#endif
