// The words of the rules are the labels of the database's enums, in the same order.
// links: goalsync_goals
#include "tests/unit/goals_helpers.h"

#include <libgen.h>

/* The labels of CREATE TYPE name AS ENUM ('a', 'b', ...), read from the migration itself. */
static size_t labels_of(const char *sql, const char *type, char labels[][32], size_t max)
{
    char head[64];
    size_t n = 0;

    snprintf(head, sizeof head, "CREATE TYPE %s AS ENUM (", type);
    const char *at = strstr(sql, head);
    assert_non_null(at);
    const char *end = strchr(at, ';');
    for (at = strchr(at, '\''); at && at < end; at = strchr(at + 1, '\'')) {
        const char *close = strchr(at + 1, '\'');
        assert_true(n < max);
        snprintf(labels[n++], 32, "%.*s", (int)(close - at - 1), at + 1);
        at = close;
    }
    return n;
}

static char *read_migration(void)
{
    char here[4096], path[4200];
    char *text = test_calloc(1, 1 << 20);

    snprintf(here, sizeof here, "%s", __FILE__);
    snprintf(path, sizeof path, "%s/../../common/migrations/0001_foundation.sql", dirname(here));
    FILE *file = fopen(path, "r");
    if (!file)
        fail_msg("%s cannot be read", path);
    size_t n = fread(text, 1, (1 << 20) - 1, file);
    fclose(file);
    assert_true(n > 0);
    return text;
}

/* Both directions, and nothing more or less than the database has. */
#define CHECK_WORDS(sql, type, prefix, last)                                                                           \
    do {                                                                                                               \
        char labels_[16][32];                                                                                          \
        size_t n_ = labels_of(sql, type, labels_, COUNT(labels_));                                                     \
        expect_int(type, (long long)n_, (long long)(last) + 1);                                                        \
        for (size_t i_ = 0; i_ < n_; i_++) {                                                                           \
            enum prefix value_ = (enum prefix)0;                                                                       \
            expect_text(type, prefix##_name((enum prefix)i_), labels_[i_]);                                            \
            assert_true(prefix##_parse(labels_[i_], &value_));                                                         \
            expect_int(labels_[i_], (long long)value_, (long long)i_);                                                 \
        }                                                                                                              \
        enum prefix untouched_ = (enum prefix)1;                                                                       \
        assert_false(prefix##_parse("nonsense", &untouched_));                                                         \
        assert_false(prefix##_parse("", &untouched_));                                                                 \
        expect_int(type, (long long)untouched_, 1);                                                                    \
    } while (0)

static void words_match_the_schema(void **state)
{
    char *sql = read_migration();

    (void)state;
    CHECK_WORDS(sql, "goal_kind", gs_goal_kind, GS_PROJECT);
    CHECK_WORDS(sql, "goal_metric", gs_goal_metric, GS_BASELINE);
    CHECK_WORDS(sql, "progress_mode", gs_goal_mode, GS_DATA_SOURCE);
    CHECK_WORDS(sql, "override_kind", gs_goal_override, GS_STICKY);
    CHECK_WORDS(sql, "goal_status", gs_goal_status, GS_REOPENED);
    CHECK_WORDS(sql, "status_mode", gs_status_mode, GS_STATUS_FROM_KEY_RESULTS);
    test_free(sql);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(words_match_the_schema)};

    return run_seeded(tests);
}
