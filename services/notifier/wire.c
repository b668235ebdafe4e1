/* The only file of the notifier that knows protobuf: judges what came. */
#include "services/notifier/wire.h"

#include "common/decimal.h"
#include "common/str.h"
#include "proto/goalsync/v1/goal.pb-c.h"
#include "services/notifier/notifier.h"

#include <inttypes.h>
#include <string.h>

#define WORD_MAX 40 /* bytes of a status or kind */
#define UUID_LEN 36

const char *const notifier_topics[NOTIFIER_TOPICS + 1] = {
    [NOTIFIER_CHANGED] = "goal.changed", [NOTIFIER_NOTED] = "goal.noted"};

enum notifier_topic notifier_topic_of(const char *name)
{
    enum notifier_topic t = NOTIFIER_CHANGED;

    while (t < NOTIFIER_TOPICS && !gs_str_eq(notifier_topics[t], name))
        t++;
    return t;
}

/* ---- judging: what is not refused here, PostgreSQL takes ---- */

static bool is_word(const char *s)
{
    size_t len = strspn(s, "abcdefghijklmnopqrstuvwxyz_");

    return len > 0 && len <= WORD_MAX && s[len] == '\0';
}

static bool is_uuid(const char *s)
{
    static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

    for (size_t i = 0; i < UUID_LEN; i++)
        if (form[i] == '-' ? s[i] != '-' : !s[i] || !strchr("0123456789abcdef", s[i]))
            return false;
    return s[UUID_LEN] == '\0';
}

static bool is_text(const char *s, size_t max)
{
    size_t len = strlen(s);

    for (size_t i = 0, n; i < len; i += n) {
        n = gs_utf8_char(s + i, len - i);
        if (n == 0)
            return false;
    }
    return len <= max;
}

static enum gs_rc read_decimal(const char *name, const char *text, const char **ret, struct gs_err *err)
{
    struct gs_dec d;
    struct gs_err why;

    *ret = NULL;
    if (!*text)
        return GS_OK;
    if (gs_dec_parse(text, strlen(text), &d, &why) != GS_OK)
        return gs_fail(err, GS_REJECT, "%s: %.300s", name, why.text);
    *ret = text;
    return GS_OK;
}

static enum gs_rc read_state(const Goalsync__V1__GoalState *s, struct notifier_state *ret, struct gs_err *err)
{
    if (!s)
        return gs_fail(err, GS_REJECT, "the goal's state is missing");
    if (!is_word(s->status))
        return gs_fail(err, GS_REJECT, "the status is not a word");
    ret->status = s->status;
    enum gs_rc rc = read_decimal("value", s->value, &ret->value, err);
    return rc == GS_OK ? read_decimal("progress", s->progress, &ret->progress, err) : rc;
}

static enum gs_rc check_ids(int64_t org_id, int64_t goal_id, int64_t at_us, struct gs_err *err)
{
    if (org_id > 0 && goal_id > 0 && at_us > 0)
        return GS_OK;
    return gs_fail(err, GS_REJECT,
                   "org_id is %" PRId64 ", goal_id %" PRId64 " and the time %" PRId64 "; all start at 1", org_id,
                   goal_id, at_us);
}

/* ---- goal.changed ---- */

/* What a person did is told by goal.noted, with the state it led to. */
static enum gs_rc read_cause(const Goalsync__V1__GoalChanged *m, struct notifier_event *ret, struct gs_err *err)
{
    switch (m->cause) {
    case GOALSYNC__V1__GOAL_CHANGE_CAUSE__GOAL_CHANGE_CAUSE_FETCHED:
        ret->cause = "fetched";
        break;
    case GOALSYNC__V1__GOAL_CHANGE_CAUSE__GOAL_CHANGE_CAUSE_ROLLED_UP:
        ret->cause = "rolled_up";
        break;
    case GOALSYNC__V1__GOAL_CHANGE_CAUSE__GOAL_CHANGE_CAUSE_DAY_PASSED:
        ret->cause = "day_passed";
        break;
    case GOALSYNC__V1__GOAL_CHANGE_CAUSE__GOAL_CHANGE_CAUSE_CHECKED_IN:
        ret->cause = "checked_in";
        return GS_OK;
    default: /* unspecified, or of a newer version: a newer notifier can replay the dead letter */
        return gs_fail(err, GS_REJECT, "cause %d is unknown", (int)m->cause);
    }
    ret->event = "goal.progressed";
    return GS_OK;
}

/* An edited definition makes a new version even when nothing looks different. */
static bool is_same(const struct notifier_state *a, const struct notifier_state *b)
{
    return gs_str_eq(a->value, b->value) && gs_str_eq(a->progress, b->progress) && gs_str_eq(a->status, b->status);
}

static int64_t positive(int64_t v)
{
    return v > 0 ? v : 0;
}

static enum gs_rc read_changed(const Goalsync__V1__GoalChanged *m, struct notifier_event *ret, struct gs_err *err)
{
    ret->org_id = m->org_id;
    ret->goal_id = m->goal_id;
    ret->at_us = m->changed_at_us;
    ret->link_id = positive(m->link_id);
    ret->source_at_us = positive(m->source_at_us);
    ret->fetched_at_us = positive(m->fetched_at_us);
    enum gs_rc rc = check_ids(ret->org_id, ret->goal_id, ret->at_us, err);
    if (rc == GS_OK)
        rc = read_cause(m, ret, err);
    if (rc == GS_OK)
        rc = read_state(m->before, &ret->before, err);
    if (rc == GS_OK)
        rc = read_state(m->after, &ret->now, err);
    if (rc == GS_OK && is_same(&ret->before, &ret->now))
        ret->event = NULL;
    return rc;
}

/* ---- goal.noted ---- */

static enum gs_rc read_deed(const Goalsync__V1__GoalNoted *m, struct notifier_event *ret, struct gs_err *err)
{
    static const char *const events[] = {
        [GOALSYNC__V1__GOAL_DEED__GOAL_DEED_CREATED] = "goal.added",
        [GOALSYNC__V1__GOAL_DEED__GOAL_DEED_EDITED] = "goal.modified",
        [GOALSYNC__V1__GOAL_DEED__GOAL_DEED_CLOSED] = "goal.closed",
        [GOALSYNC__V1__GOAL_DEED__GOAL_DEED_POSTPONED] = "goal.postponed",
        [GOALSYNC__V1__GOAL_DEED__GOAL_DEED_REOPENED] = "goal.reopened",
        [GOALSYNC__V1__GOAL_DEED__GOAL_DEED_DELETED] = "goal.deleted",
        [GOALSYNC__V1__GOAL_DEED__GOAL_DEED_CHECKED_IN] = "goal.checked_in",
        [GOALSYNC__V1__GOAL_DEED__GOAL_DEED_COMMENTED] = "goal.commented",
    };
    int deed = (int)m->deed;

    if (deed <= 0 || (size_t)deed >= sizeof events / sizeof *events || !events[deed])
        return gs_fail(err, GS_REJECT, "deed %d is unknown", deed);
    ret->event = events[deed];
    return GS_OK;
}

static enum gs_rc read_noted(const Goalsync__V1__GoalNoted *m, struct notifier_event *ret, struct gs_err *err)
{
    ret->org_id = m->org_id;
    ret->goal_id = m->goal_id;
    ret->at_us = m->noted_at_us;
    ret->person_id = positive(m->person_id);
    ret->hidden = m->private_;
    if (!is_uuid(m->goal_public_id) || (*m->thing_public_id && !is_uuid(m->thing_public_id)))
        return gs_fail(err, GS_REJECT, "the public id of the goal or thing is no UUID");
    if (!is_word(m->kind) || !is_text(m->title, NOTIFIER_TITLE_MAX))
        return gs_fail(err, GS_REJECT, "the kind is not a word, or the title not text of at most %d bytes",
                       NOTIFIER_TITLE_MAX);
    ret->public_id = m->goal_public_id;
    ret->kind = m->kind;
    ret->title = m->title;
    ret->thing = *m->thing_public_id ? m->thing_public_id : NULL;
    enum gs_rc rc = check_ids(ret->org_id, ret->goal_id, ret->at_us, err);
    if (rc == GS_OK)
        rc = read_deed(m, ret, err);
    return rc == GS_OK ? read_state(m->state, &ret->now, err) : rc;
}

/* ---- both ---- */

static enum gs_rc unpack_changed(const void *data, size_t len, struct notifier_event *ret, struct gs_err *err)
{
    Goalsync__V1__GoalChanged *m = goalsync__v1__goal_changed__unpack(NULL, len, data);

    ret->unpacked = m;
    return m ? read_changed(m, ret, err) : gs_fail(err, GS_REJECT, "the %zu bytes are not a GoalChanged", len);
}

static enum gs_rc unpack_noted(const void *data, size_t len, struct notifier_event *ret, struct gs_err *err)
{
    Goalsync__V1__GoalNoted *m = goalsync__v1__goal_noted__unpack(NULL, len, data);

    ret->unpacked = m;
    ret->noted = true;
    return m ? read_noted(m, ret, err) : gs_fail(err, GS_REJECT, "the %zu bytes are not a GoalNoted", len);
}

enum gs_rc notifier_wire_read(enum notifier_topic topic, const void *data, size_t len, struct notifier_event *ret,
                              struct gs_err *err)
{
    enum gs_rc rc;

    *ret = (struct notifier_event){0};
    if (len > NOTIFIER_MESSAGE_MAX)
        return gs_fail(err, GS_REJECT, "%zu bytes; at most %d are read", len, NOTIFIER_MESSAGE_MAX);
    rc = topic == NOTIFIER_NOTED ? unpack_noted(data, len, ret, err) : unpack_changed(data, len, ret, err);
    if (rc != GS_OK)
        notifier_event_done(ret);
    return rc;
}

void notifier_event_done(struct notifier_event *ev)
{
    if (ev->noted)
        goalsync__v1__goal_noted__free_unpacked(ev->unpacked, NULL);
    else
        goalsync__v1__goal_changed__free_unpacked(ev->unpacked, NULL);
    *ev = (struct notifier_event){0};
}
