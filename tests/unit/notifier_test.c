/* The notifier's parts without I/O: signatures, windows, the schedule of attempts, and judging messages.
 * links: goalsync_notify */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/goalsync/v1/goal.pb-c.h"
#include "services/notifier/notifier.h"
#include "services/notifier/retry.h"
#include "services/notifier/sign.h"
#include "services/notifier/window.h"
#include "services/notifier/wire.h"

/* The example of the specification's reference libraries. */
static void test_signature(void **state)
{
    static const char secret[] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", body[] = "{\"test\": 2432232314}";
    struct notifier_key key;
    struct gs_buf header;

    (void)state;
    gs_buf_init(&header, 1000);
    assert_int_equal(notifier_key_read(secret, strlen(secret), &key, NULL), GS_OK);
    notifier_sign(&header, &key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body, strlen(body));
    assert_string_equal(gs_buf_str(&header), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    notifier_sign(&header, &key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body, strlen(body));
    assert_string_equal(gs_buf_str(&header), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= "
                                             "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    gs_buf_done(&header);
}

static void test_keys_that_are_none(void **state)
{
    static const char *const bad[] = {"",
                                      "whsec_",
                                      "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                                      "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS",
                                      "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2Li",
                                      "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS!",
                                      "WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"};
    char too_long[200] = "whsec_";
    struct notifier_key key;
    struct gs_err err;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(notifier_key_read(bad[i], strlen(bad[i]), &key, &err), GS_REJECT);
        assert_null(strstr(err.text, "MfKQ"));
    }
    memset(too_long + 6, 'A', 120);
    assert_int_equal(notifier_key_read(too_long, strlen(too_long), &key, &err), GS_REJECT);
}

/* ---- windows ---- */

static int32_t room_of(const struct notifier_windows *w, int64_t id)
{
    for (size_t i = 0; i < notifier_windows_count(w); i++)
        if (notifier_windows_at(w, i)->webhook_id == id)
            return notifier_window_room(notifier_windows_at(w, i));
    return -1;
}

static void test_windows_grow_and_shrink(void **state)
{
    static const int32_t rooms[] = {2, 4, 8, 16, 16};
    struct notifier_windows *w = notifier_windows_new(16);

    (void)state;
    for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++) {
        notifier_window_begin(w, 7);
        assert_int_equal(room_of(w, 7), i ? rooms[i - 1] - 1 : 0);
        notifier_window_end(w, 7, true);
        assert_int_equal(room_of(w, 7), rooms[i]);
    }
    for (int i = 0; i < 5; i++)
        notifier_window_begin(w, 7);
    notifier_window_end(w, 7, false);
    assert_int_equal(room_of(w, 7), 0); /* one, and four are under way still */
    for (int i = 0; i < 4; i++)
        notifier_window_end(w, 7, false);
    assert_int_equal(room_of(w, 7), 1);
    notifier_windows_free(w);
}

static void test_windows_ask_for_more_when_they_were_full(void **state)
{
    struct notifier_windows *w = notifier_windows_new(4);

    (void)state;
    notifier_windows_ask(w);
    notifier_window_begin(w, 9);
    notifier_windows_claimed(w);
    assert_true(notifier_window_end(w, 9, true)); /* it got all it asked for: there may be more */
    notifier_windows_ask(w);                      /* for two */
    notifier_window_begin(w, 9);
    notifier_windows_claimed(w);
    assert_false(notifier_window_end(w, 9, true)); /* it got one: nothing more was due */
    notifier_windows_free(w);
}

static void test_deliveries_that_end_during_a_claim(void **state)
{
    struct notifier_windows *w = notifier_windows_new(4);

    (void)state;
    notifier_windows_ask(w);
    notifier_window_begin(w, 9);
    notifier_windows_claimed(w);
    notifier_window_end(w, 9, true);
    notifier_windows_ask(w); /* for two */
    notifier_window_begin(w, 9);
    notifier_window_begin(w, 9);
    notifier_windows_claimed(w);
    assert_false(notifier_windows_ready(w));
    notifier_window_end(w, 9, true);
    notifier_windows_ask(w);         /* for three ... */
    notifier_window_end(w, 9, true); /* ... and one more place by the time the answer is there */
    for (int i = 0; i < 3; i++)
        notifier_window_begin(w, 9);
    notifier_windows_claimed(w);
    assert_true(notifier_windows_ready(w));
    notifier_windows_ask(w); /* for that one: there is none */
    notifier_windows_claimed(w);
    assert_false(notifier_windows_ready(w));
    notifier_windows_free(w);
}

static void test_idle_windows_are_forgotten(void **state)
{
    struct notifier_windows *w = notifier_windows_new(16);

    (void)state;
    for (int64_t id = 100; id > 0; id -= 7)
        notifier_window_begin(w, id);
    for (int64_t id = 100; id > 2; id -= 7)
        notifier_window_end(w, id, true); /* but for 2 */
    for (size_t i = 1; i < notifier_windows_count(w); i++)
        assert_true(notifier_windows_at(w, i - 1)->webhook_id < notifier_windows_at(w, i)->webhook_id);
    notifier_windows_fade(w);
    assert_int_equal(room_of(w, 100), 1);
    notifier_windows_fade(w);
    assert_int_equal(notifier_windows_count(w), 1);
    assert_int_equal(room_of(w, 2), 0);
    notifier_windows_free(w);
}

/* ---- attempts ---- */

static void test_schedule(void **state)
{
    static const int64_t seconds[] = {5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400};
    int64_t span = 0, all;

    (void)state;
    for (size_t i = 0; i < sizeof seconds / sizeof *seconds; i++)
        span += seconds[i] * 1000000;
    for (int attempt = 1; attempt <= 9; attempt++) {
        int64_t pause = notifier_retry_pause(attempt, span), least = seconds[attempt - 1] * 1000000;
        assert_in_range(pause, least - 1, least + least / 5 + 2);
        all = notifier_retry_pause(attempt, span / 1000);
        assert_in_range(all, least / 1000 - 1, least / 1000 + least / 5000 + 2);
    }
    assert_int_equal(notifier_retry_pause(10, span), 0);
    assert_int_equal(notifier_retry_pause(0, span), 0);
}

static void test_retry_after(void **state)
{
    static const struct {
        const char *asked;
        int64_t pause, want;
    } rows[] = {{NULL, 5, 5},          {"", 5, 5},     {"3", 5000000, 5000000},    {"60", 5, 60000000}, {"-1", 5, 5},
                {"99999999999", 5, 5}, {"soon", 5, 5}, {"864000", 5, 86400000000}, {"1.5", 5, 5},       {"0", 5, 5}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(notifier_retry_asked(rows[i].asked, rows[i].pause), rows[i].want);
}

/* ---- messages ---- */

static Goalsync__V1__GoalState before = GOALSYNC__V1__GOAL_STATE__INIT, after = GOALSYNC__V1__GOAL_STATE__INIT;

static Goalsync__V1__GoalChanged changed(void)
{
    Goalsync__V1__GoalChanged m = GOALSYNC__V1__GOAL_CHANGED__INIT;

    before.status = (char *)(uintptr_t) "behind";
    before.progress = (char *)(uintptr_t) "1";
    after.status = (char *)(uintptr_t) "on_track";
    after.progress = (char *)(uintptr_t) "2";
    m.org_id = 1;
    m.goal_id = 2;
    m.changed_at_us = 3;
    m.cause = GOALSYNC__V1__GOAL_CHANGE_CAUSE__GOAL_CHANGE_CAUSE_FETCHED;
    m.before = &before;
    m.after = &after;
    return m;
}

static enum gs_rc read_changed(const Goalsync__V1__GoalChanged *m, struct notifier_event *ev, struct gs_err *err)
{
    uint8_t data[1000];

    assert_true(goalsync__v1__goal_changed__get_packed_size(m) <= sizeof data);
    return notifier_wire_read(NOTIFIER_CHANGED, data, goalsync__v1__goal_changed__pack(m, data), ev, err);
}

static void test_changes(void **state)
{
    Goalsync__V1__GoalChanged m = changed();
    struct notifier_event ev;
    struct gs_err err;

    (void)state;
    assert_int_equal(read_changed(&m, &ev, &err), GS_OK);
    assert_string_equal(ev.event, "goal.progressed");
    assert_string_equal(ev.now.progress, "2");
    assert_null(ev.now.value);
    notifier_event_done(&ev);

    m.cause = GOALSYNC__V1__GOAL_CHANGE_CAUSE__GOAL_CHANGE_CAUSE_CHECKED_IN; /* goal.noted tells it */
    assert_int_equal(read_changed(&m, &ev, &err), GS_OK);
    assert_null(ev.event);
    notifier_event_done(&ev);

    m = changed();
    m.after = &before; /* an edit that moved nothing */
    assert_int_equal(read_changed(&m, &ev, &err), GS_OK);
    assert_null(ev.event);
    notifier_event_done(&ev);
}

static void test_changes_that_are_wrong(void **state)
{
    struct notifier_event ev;
    struct gs_err err;

    (void)state;
    for (int i = 0; i < 7; i++) {
        Goalsync__V1__GoalChanged m = changed();
        if (i == 0)
            m.org_id = 0;
        else if (i == 1)
            m.goal_id = -1;
        else if (i == 2)
            m.changed_at_us = 0;
        else if (i == 3)
            m.cause = (Goalsync__V1__GoalChangeCause)77;
        else if (i == 4)
            m.before = NULL;
        else if (i == 5)
            after.progress = (char *)(uintptr_t) "NaN";
        else
            after.status = (char *)(uintptr_t) "On track";
        if (read_changed(&m, &ev, &err) != GS_REJECT)
            fail_msg("row %d was taken", i);
        assert_null(ev.unpacked);
    }
    assert_int_equal(notifier_wire_read(NOTIFIER_NOTED, "\xff", 1, &ev, &err), GS_REJECT);
    assert_int_equal(notifier_wire_read(NOTIFIER_NOTED, "", NOTIFIER_MESSAGE_MAX + 1, &ev, &err), GS_REJECT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signature),
        cmocka_unit_test(test_keys_that_are_none),
        cmocka_unit_test(test_windows_grow_and_shrink),
        cmocka_unit_test(test_windows_ask_for_more_when_they_were_full),
        cmocka_unit_test(test_deliveries_that_end_during_a_claim),
        cmocka_unit_test(test_idle_windows_are_forgotten),
        cmocka_unit_test(test_schedule),
        cmocka_unit_test(test_retry_after),
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_changes_that_are_wrong),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
