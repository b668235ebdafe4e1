/* The domain rules: what a value does to a goal's progress and status, and how goals roll up. Plain functions on plain
 * structs, without I/O, memory or clock; all arithmetic exact, so neither the order of children nor that of arrival
 * shows. */
#ifndef GS_GOAL_H
#define GS_GOAL_H

#include "common/decimal.h"
#include "common/rc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GS_GOAL_CHILDREN_MAX 100000 /* exact sums of that many shares fit 128 bits */
#define GS_GOAL_TASKS_MAX    1000000

/* ---- Words; the names are the labels of the database's enums. */

enum gs_goal_kind { GS_OBJECTIVE, GS_KEY_RESULT, GS_PROJECT };
enum gs_goal_metric { GS_PERCENT, GS_REACH, GS_INCREASE, GS_DECREASE, GS_STAY_BELOW, GS_STAY_ABOVE, GS_BASELINE };
enum gs_goal_mode { GS_MANUAL, GS_ROLL_UP, GS_DATA_SOURCE };
enum gs_goal_override { GS_NOT_OVERRIDDEN, GS_ONE_OFF, GS_STICKY };
enum gs_goal_status {
    GS_NOT_STARTED,
    GS_ON_TRACK,
    GS_BEHIND,
    GS_AT_RISK,
    GS_IN_PROGRESS, /* baselines only */
    GS_CLOSED,
    GS_POSTPONED,
    GS_REOPENED,
};
enum gs_status_mode { GS_STATUS_FROM_PROGRESS, GS_STATUS_FROM_KEY_RESULTS };

const char *gs_goal_kind_name(enum gs_goal_kind kind);
const char *gs_goal_metric_name(enum gs_goal_metric metric);
const char *gs_goal_mode_name(enum gs_goal_mode mode);
const char *gs_goal_override_name(enum gs_goal_override override);
const char *gs_goal_status_name(enum gs_goal_status status);
const char *gs_status_mode_name(enum gs_status_mode mode);
/* False: no such label; *ret is left alone then. */
bool gs_goal_kind_parse(const char *label, enum gs_goal_kind *ret) GS_MUST_CHECK;
bool gs_goal_metric_parse(const char *label, enum gs_goal_metric *ret) GS_MUST_CHECK;
bool gs_goal_mode_parse(const char *label, enum gs_goal_mode *ret) GS_MUST_CHECK;
bool gs_goal_override_parse(const char *label, enum gs_goal_override *ret) GS_MUST_CHECK;
bool gs_goal_status_parse(const char *label, enum gs_goal_status *ret) GS_MUST_CHECK;
bool gs_status_mode_parse(const char *label, enum gs_status_mode *ret) GS_MUST_CHECK;

/* ---- One goal */

/* Definition and state as loaded from the table goal. Zeroed, it is a manual percent objective without a value.
 * A project in roll-up mode takes its progress from its tasks; other goals in roll-up mode from their children. */
struct gs_goal {
    int64_t id; /* breaks ties between children and names the goal in answers; may be 0 otherwise */
    enum gs_goal_kind kind;
    enum gs_goal_metric metric;
    enum gs_goal_mode mode;
    enum gs_goal_override override;
    enum gs_goal_status status;
    bool status_by_hand; /* holds until the next changed automatic value; Closed and Postponed until reopened */
    bool has_value;
    bool has_start, has_target, has_risk, has_auto, has_applied;
    struct gs_dec start, target, risk;
    struct gs_dec auto_value;      /* always moves with the source, the tasks or the children */
    struct gs_dec applied_value;   /* what counts */
    struct gs_dec raw_progress;    /* percent, not clamped (beyond 20 digits: the largest decimal) */
    struct gs_dec progress;        /* percent as shown and rolled up, 0 to 100; 0 while has_value is false */
    int32_t start_day, end_day;    /* days since 1970-01-01 */
    int32_t tasks_done, tasks_all; /* projects only */
    const char *unit;              /* borrowed; null is "". "%" marks a percentage metric, any other one a number */
};

struct gs_goal_rules {
    struct gs_dec behind_above;  /* percentage points behind the expected progress; default 0 */
    struct gs_dec at_risk_above; /* default 25; also the limit of the "at risk" alert */
    enum gs_status_mode status_mode;
    int32_t today; /* day number in the organisation's time zone */
};

#define GS_WEIGHT_FREE (-1)
#define GS_WEIGHT_FULL 10000 /* 100 % in hundredths of a percent */

/* An edge parent -> child. */
struct gs_goal_child {
    const struct gs_goal *goal;
    int32_t weight; /* fixed, in hundredths of a percent; GS_WEIGHT_FREE: shares what the fixed ones leave */
    bool contributes;
    int32_t position; /* "the earlier child" has the lower position, then the lower id */
};

/* What an operation changed: bits. Anything but 0 must be stored; GS_CHANGED_VISIBLE ones are what people see. */
enum gs_goal_change {
    GS_CHANGED_VALUE = 1,    /* applied_value, has_applied, has_value */
    GS_CHANGED_PROGRESS = 2, /* raw_progress, progress */
    GS_CHANGED_STATUS = 4,   /* status */
    GS_CHANGED_OVERRIDE = 8, /* override */
    GS_CHANGED_AUTO = 16,    /* auto_value: shown in the check-in dialog only */
    GS_CHANGED_BY_HAND = 32, /* status_by_hand without a visible difference */
    GS_CHANGED_REFUSED = 64, /* alone: a sum beyond 20 digits, too many children; the goal was left as it was */
};
#define GS_CHANGED_VISIBLE (GS_CHANGED_VALUE | GS_CHANGED_PROGRESS | GS_CHANGED_STATUS | GS_CHANGED_OVERRIDE)

/* ---- Definitions: GS_OK, or GS_REJECT with a sentence for the person who typed it */

enum gs_rc gs_goal_validate(const struct gs_goal *goal, struct gs_err *err) GS_MUST_CHECK;
enum gs_rc gs_goal_rules_validate(const struct gs_goal_rules *rules, struct gs_err *err) GS_MUST_CHECK;
struct gs_goal_rules gs_goal_rules_default(int32_t today);

bool gs_metric_is_regular(enum gs_goal_metric metric); /* reach, increase, decrease */
bool gs_metric_is_control(enum gs_goal_metric metric); /* stay below, stay above */
bool gs_goal_is_numeric(const struct gs_goal *goal);   /* a regular metric whose unit is not "%": rolls up as a sum */
/* Closed or Postponed by hand: the value stands still, links do not run, check-ins are refused until it is reopened. */
bool gs_goal_is_frozen(const struct gs_goal *goal);
/* Where it begins: 0 for a reach, else the start; 0 where there is none. */
struct gs_dec gs_goal_start(const struct gs_goal *goal);

/* ---- Numbers */

/* Progress of a value, in percent, unclamped; 100 or 0 for control metrics, 0 for a baseline. Needs a valid definition.
 */
struct gs_dec gs_goal_progress_of(const struct gs_goal *goal, struct gs_dec value);
struct gs_dec gs_percent_clamp(struct gs_dec percent); /* 0 to 100 */
/* part / whole in percent. False: a percentage of nothing (whole is 0), which is no value; or beyond 20 digits. */
bool gs_percent_of(struct gs_dec part, struct gs_dec whole, struct gs_dec *ret) GS_MUST_CHECK;
/* A spreadsheet cell formatted as a percentage counts times 100. False: beyond 20 digits. */
bool gs_percent_cell(struct gs_dec cell, struct gs_dec *ret) GS_MUST_CHECK;
/* Both return the length. "33.3333" for the API, "33" (no sign %) for people; halves go away from zero. */
size_t gs_percent_for_api(struct gs_dec percent, char dst[GS_DEC_TEXT]);
size_t gs_percent_for_people(struct gs_dec percent, char dst[GS_DEC_TEXT]);

/* ---- Status */

struct gs_dec gs_goal_expected(const struct gs_goal *goal, int32_t today); /* percent, 0 to 100 */
enum gs_goal_status gs_status_of_lag(struct gs_dec expected, struct gs_dec shown, const struct gs_goal_rules *rules);
/* What a goal alone gives, without children: by its lag, its control metric, or its baseline. */
enum gs_goal_status gs_goal_own_status(const struct gs_goal *goal, const struct gs_goal_rules *rules);
/* More than the second limit behind: the "at risk" alert. */
bool gs_goal_lags(const struct gs_goal *goal, const struct gs_goal_rules *rules);

/* Recomputes progress and status from applied_value: for the day pass, after an edited metric, date or limit.
 * A goal in roll-up mode keeps a status that only its children can tell (derived Closed and Postponed, and everything
 * in the second mode): call gs_goal_roll_up for it, children before parents; after an edited metric always. */
unsigned gs_goal_derive(struct gs_goal *goal, const struct gs_goal_rules *rules);

/* ---- Values that arrive */

/* A new automatic value; null: the source has no value now. A frozen or manual goal only moves its auto_value. */
unsigned gs_goal_apply_auto(struct gs_goal *goal, const struct gs_dec *value, const struct gs_goal_rules *rules);

struct gs_check_in {
    bool has_value;
    bool has_status; /* false: the status is derived */
    bool sticky;     /* "stop automatic updates"; says nothing for a manual goal */
    struct gs_dec value;
    enum gs_goal_status status;
};

/* On an automatic goal with a value: a one-off or sticky override. GS_REJECT: a status the goal cannot have, a value
 * for a frozen goal. Follow with gs_goal_roll_up when the goal itself is in roll-up mode, then walk its ancestors. */
enum gs_rc gs_goal_check_in(struct gs_goal *goal, const struct gs_check_in *check_in, const struct gs_goal_rules *rules,
                            unsigned *ret_changes, struct gs_err *err) GS_MUST_CHECK;
/* A check-in was edited or removed: the latest remaining one applies. Null: the latest remaining update is the
 * automatic one, or there is none at all. A goal that was reopened since stays Reopened. */
enum gs_rc gs_goal_replace_check_in(struct gs_goal *goal, const struct gs_check_in *latest,
                                    const struct gs_goal_rules *rules, unsigned *ret_changes,
                                    struct gs_err *err) GS_MUST_CHECK;
/* Ends an override: the automatic value of now applies, a status set by hand goes. */
unsigned gs_goal_resume(struct gs_goal *goal, const struct gs_goal_rules *rules);

/* ---- Roll-up */

/* Progress, numeric sum or baseline sum, and derived status of a goal in roll-up mode; nothing for other modes. A
 * project takes its own task counts. Children come in any order with their state up to date; n <= GS_GOAL_CHILDREN_MAX.
 */
unsigned gs_goal_roll_up(struct gs_goal *parent, const struct gs_goal_child *children, size_t n,
                         const struct gs_goal_rules *rules);

/* ---- Weights */

/* Exact shares: child i has gs_share_part(...) / whole. whole 0: nothing counts. */
struct gs_shares {
    int64_t whole;
    int64_t times;     /* part of a fixed weight: weight * times */
    int64_t free_part; /* part of a free child */
};
struct gs_shares gs_shares_of(const struct gs_goal_child *children, size_t n);
int64_t gs_share_part(const struct gs_shares *shares, const struct gs_goal_child *child);
/* Shares for showing, in hundredths of a percent, that sum to exactly GS_WEIGHT_FULL (all 0 when nothing counts). */
void gs_shares_show(const struct gs_goal_child *children, size_t n, int32_t *ret_hundredths);

/* "12.5" to 1250; at most 2 decimals, 0 to 100. */
enum gs_rc gs_weight_parse(const char *s, size_t len, int32_t *ret, struct gs_err *err) GS_MUST_CHECK;
/* Fixed weights of one parent may not exceed 100 together. */
enum gs_rc gs_weights_validate(const struct gs_goal_child *children, size_t n, struct gs_err *err) GS_MUST_CHECK;

/* The settings at the moment of aligning decide; the answer is stored on the edge and later settings do not change it.
 */
struct gs_align_rules {
    bool newly_aligned_contribute; /* on by default */
    bool projects_contribute;      /* they do so, too; off by default */
    bool objectives_blocked;       /* objectives never contribute; off by default */
};
bool gs_align_contributes(enum gs_goal_kind child, const struct gs_align_rules *rules);

/* ---- Closing */

/* What the close dialog offers: GS_CLOSED above 0 progress, GS_POSTPONED at 0 or below. */
enum gs_goal_status gs_goal_close_offer(const struct gs_goal *goal);
/* By hand; how is GS_CLOSED or GS_POSTPONED. The caller stops the goal's links. Closing twice changes nothing. */
unsigned gs_goal_close(struct gs_goal *goal, enum gs_goal_status how);
/* The stored inputs stay as they were, an override too; the caller switches the links on again and, for roll-up mode,
 * rolls up. GS_REJECT: neither Closed nor Postponed. */
enum gs_rc gs_goal_reopen(struct gs_goal *goal, const struct gs_goal_rules *rules, unsigned *ret_changes,
                          struct gs_err *err) GS_MUST_CHECK;

#endif
