/* Settings: every type, files, all mistakes at once, and secrets that stay unseen. */
#include "common/env.h"

#include "common/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <unistd.h>

static char *text, *secret, *required;
static int64_t count, pause_us, size;
static bool flag;

static const struct gs_env table[] = {
    {"GST_TEXT", GS_ENV_STRING, &text, "default", 0, 0, "a text"},
    {"GST_COUNT", GS_ENV_INT, &count, "7", 1, 10, "a count"},
    {"GST_PAUSE", GS_ENV_SECONDS, &pause_us, "1.5", 0, 3600, "a pause"},
    {"GST_SIZE", GS_ENV_BYTES, &size, "64k", 1, 0, "a size"},
    {"GST_FLAG", GS_ENV_BOOL, &flag, "no", 0, 0, "a switch"},
    {"GST_SECRET", GS_ENV_SECRET, &secret, "", 0, 0, "a secret"},
    GS_ENV_END,
};
static const struct gs_env same_secret[] = {
    {"GST_SECRET", GS_ENV_SECRET, &secret, GS_ENV_REQUIRED, 0, 0, "the same one"},
    GS_ENV_END,
};
static const struct gs_env with_required[] = {
    {"GST_REQUIRED", GS_ENV_STRING, &required, GS_ENV_REQUIRED, 0, 0, "needed"},
    GS_ENV_END,
};
static const struct gs_env *const tables[] = {table, same_secret, NULL};
static const struct gs_env *const all_tables[] = {table, with_required, table, NULL};

static char folder[] = "/tmp/env-test-XXXXXX";

static void free_strings(void)
{
    free(text);
    free(secret);
    free(required);
    text = secret = required = NULL;
}

static int clear(void **state)
{
    static const char *const names[] = {"TEXT", "COUNT", "PAUSE", "SIZE", "FLAG", "SECRET", "REQUIRED"};
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        char name[64];
        snprintf(name, sizeof(name), "GST_%s", names[i]);
        unsetenv(name);
        snprintf(name, sizeof(name), "GST_%s_FILE", names[i]);
        unsetenv(name);
    }
    free_strings();
    return 0;
}

/* Reads all tables; the mistakes are the caller's to free. */
static char *mistakes_of(const struct gs_env *const *which)
{
    struct gs_buf b;
    free_strings();
    gs_buf_init(&b, 10000);
    enum gs_rc rc = gs_env_read(which, &b);
    assert_int_equal(rc, b.len ? GS_REJECT : GS_OK);
    return gs_buf_steal(&b);
}

static void must_read(const struct gs_env *const *which)
{
    char *mistakes = mistakes_of(which);
    assert_string_equal(mistakes, "");
    free(mistakes);
}

static void write_file(const char *setting, const char *content, size_t len)
{
    char path[256], name[64];
    snprintf(path, sizeof(path), "%s/value", folder);
    snprintf(name, sizeof(name), "%s_FILE", setting);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(content, 1, len, file), len);
    fclose(file);
    setenv(name, path, 1);
}

static void defaults(void **state)
{
    (void)state;
    must_read(tables);
    assert_string_equal(text, "default");
    assert_int_equal(count, 7);
    assert_int_equal(pause_us, 1500000);
    assert_int_equal(size, 65536);
    assert_false(flag);
    assert_string_equal(secret, "");
}

static void values(void **state)
{
    static const struct {
        const char *text;
        int64_t us;
    } pauses[] = {
        {"90", 90000000}, {"0.25", 250000}, {"250ms", 250000},  {"5m", 300000000}, {"1h", INT64_C(3600000000)},
        {"2s", 2000000},  {"0", 0},         {"1.5m", 90000000}, {"0.000001", 1}};
    static const struct {
        const char *text;
        int64_t bytes;
    } sizes[] = {{"1", 1}, {"64K", 65536}, {"10M", 10485760}, {"1G", 1073741824}, {"1.5k", 1536}};
    (void)state;
    for (size_t i = 0; i < sizeof(pauses) / sizeof(*pauses); i++) {
        clear(NULL);
        setenv("GST_PAUSE", pauses[i].text, 1);
        must_read(tables);
        assert_int_equal(pause_us, pauses[i].us);
    }
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        clear(NULL);
        setenv("GST_SIZE", sizes[i].text, 1);
        setenv("GST_FLAG", "yes", 1);
        must_read(tables);
        assert_int_equal(size, sizes[i].bytes);
        assert_true(flag);
    }
}

static void wrong_values(void **state)
{
    static const char *const wrong[][2] = {
        {"GST_COUNT", "0"},      {"GST_COUNT", "11"},   {"GST_COUNT", "7x"},         {"GST_COUNT", "1.5"},
        {"GST_PAUSE", "-1"},     {"GST_PAUSE", "3601"}, {"GST_PAUSE", "2h"},         {"GST_PAUSE", "1 h"},
        {"GST_PAUSE", "h"},      {"GST_PAUSE", "."},    {"GST_PAUSE", "1."},         {"GST_PAUSE", "1.2.3"},
        {"GST_PAUSE", "1w"},     {"GST_SIZE", "0"},     {"GST_SIZE", "9999999999G"}, {"GST_SIZE", "1T"},
        {"GST_FLAG", "perhaps"}, {"GST_FLAG", "Yes"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        clear(NULL);
        setenv(wrong[i][0], wrong[i][1], 1);
        char *mistakes = mistakes_of(tables);
        assert_true(gs_str_starts(mistakes, wrong[i][0]));
        assert_non_null(strstr(mistakes, wrong[i][1]));
        assert_non_null(strstr(mistakes, "accepted: "));
        free(mistakes);
    }
}

static void all_mistakes_at_once(void **state)
{
    (void)state;
    setenv("GST_COUNT", "many\nlines", 1);
    setenv("GST_FLAG", "perhaps", 1);
    char *mistakes = mistakes_of(all_tables);
    assert_string_equal(mistakes, "GST_COUNT is 'many?lines'; accepted: a whole number, 1 to 10\n"
                                  "GST_FLAG is 'perhaps'; accepted: yes or no\n"
                                  "GST_REQUIRED is required and not set; accepted: text\n");
    free(mistakes);
}

static void empty_values(void **state)
{
    (void)state;
    setenv("GST_TEXT", "", 1);
    setenv("GST_COUNT", "", 1);
    setenv("GST_REQUIRED", "", 1);
    char *mistakes = mistakes_of(all_tables);
    assert_string_equal(mistakes, "GST_REQUIRED is required and not set; accepted: text\n");
    assert_string_equal(text, ""); /* a default can be emptied */
    assert_int_equal(count, 7);
    free(mistakes);
}

static void secrets_leave_the_environment(void **state)
{
    (void)state;
    setenv("GST_SECRET", "hunter2", 1);
    const char *in_environment = getenv("GST_SECRET");
    must_read(tables); /* named in two tables: read once */
    assert_string_equal(secret, "hunter2");
    assert_null(getenv("GST_SECRET"));
    assert_string_not_equal(in_environment, "hunter2"); /* overwritten where it stood */
}

static void files(void **state)
{
    static const struct {
        const char *content, *value;
    } cases[] = {{"hunter2\n", "hunter2"},
                 {"hunter2\r\n", "hunter2"},
                 {"hunter2", "hunter2"},
                 {"a\nb\n\n", "a\nb\n"},
                 {"\n", ""}};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        clear(NULL);
        write_file("GST_SECRET", cases[i].content, strlen(cases[i].content));
        setenv("GST_SECRET", "", 1); /* not given */
        must_read(tables);
        assert_string_equal(secret, cases[i].value);
    }
    clear(NULL);
    write_file("GST_COUNT", "9\n", 2);
    must_read(tables);
    assert_int_equal(count, 9);
}

static void wrong_files(void **state)
{
    static char large[GS_ENV_MAX_VALUE + 1];
    (void)state;
    memset(large, 'x', sizeof(large));
    write_file("GST_SECRET", large, sizeof(large));
    char *mistakes = mistakes_of(tables);
    assert_non_null(strstr(mistakes, "larger than 64 KB"));
    free(mistakes);
    write_file("GST_SECRET", large, sizeof(large) - 1);
    must_read(tables);
    clear(NULL);
    write_file("GST_SECRET", "a\0b", 3);
    mistakes = mistakes_of(tables);
    assert_non_null(strstr(mistakes, "zero bytes"));
    free(mistakes);
    setenv("GST_SECRET_FILE", "/nowhere/at/all", 1);
    mistakes = mistakes_of(tables);
    assert_non_null(strstr(mistakes, "GST_SECRET cannot be read from /nowhere/at/all"));
    free(mistakes);
    setenv("GST_SECRET_FILE", folder, 1);
    mistakes = mistakes_of(tables);
    assert_non_null(strstr(mistakes, "not a readable file"));
    free(mistakes);
}

static void mistakes_show_no_secrets(void **state)
{
    (void)state;
    write_file("GST_SECRET", "from-file", 9);
    setenv("GST_SECRET", "from-environment", 1);
    write_file("GST_COUNT", "wrong-file", 10);
    char *mistakes = mistakes_of(tables);
    assert_non_null(strstr(mistakes, "GST_SECRET is set twice"));
    assert_non_null(strstr(mistakes, "GST_COUNT has a value that is not accepted"));
    assert_null(strstr(mistakes, "from-"));
    assert_null(strstr(mistakes, "wrong-file"));
    free(mistakes);
}

static void prints_the_table(void **state)
{
    char *out = NULL;
    size_t len;
    (void)state;
    setenv("GST_SECRET", "hunter2", 1);
    FILE *file = open_memstream(&out, &len);
    gs_env_print(all_tables, file);
    fclose(file);
    assert_null(strstr(out, "hunter2"));
    assert_non_null(strstr(out, "GST_COUNT"));
    assert_non_null(strstr(out, "a count; a whole number, 1 to 10"));
    assert_non_null(strstr(out, "required"));
    const char *first = strstr(out, "GST_TEXT");
    assert_null(strstr(first + 1, "GST_TEXT")); /* a table named twice is printed once */
    free(out);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/value", folder);
    unlink(path);
    clear(state);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(defaults, clear),
        cmocka_unit_test_setup(values, clear),
        cmocka_unit_test_setup(wrong_values, clear),
        cmocka_unit_test_setup(all_mistakes_at_once, clear),
        cmocka_unit_test_setup(empty_values, clear),
        cmocka_unit_test_setup(secrets_leave_the_environment, clear),
        cmocka_unit_test_setup(files, clear),
        cmocka_unit_test_setup(wrong_files, clear),
        cmocka_unit_test_setup(mistakes_show_no_secrets, clear),
        cmocka_unit_test_setup(prints_the_table, clear),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
