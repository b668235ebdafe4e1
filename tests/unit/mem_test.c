/* Memory comes zeroed, copies end in a zero, secrets are overwritten, and running out ends the process. */
#include "common/mem.h"

#include "common/auto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void allocates_zeroed(void **state)
{
    (void)state;
    unsigned char *p = gs_alloc_n(100, 3);
    for (size_t i = 0; i < 300; i++)
        assert_int_equal(p[i], 0);
    p = gs_realloc_n(p, 1000, 3);
    assert_int_equal(p[299], 0);
    free(p);
    free(gs_alloc(0));
}

static void copies(void **state)
{
    (void)state;
    GS_AUTO(gs_freep) char *whole = gs_strdup("secret"), *cut = gs_strndup("secret", 3), *longer = gs_strndup("ab", 9);
    assert_string_equal(whole, "secret");
    assert_string_equal(cut, "sec");
    assert_string_equal(longer, "ab");
}

static void wipes(void **state)
{
    char secret[] = "secret";
    (void)state;
    gs_wipe(secret, sizeof(secret));
    for (size_t i = 0; i < sizeof(secret); i++)
        assert_int_equal(secret[i], 0);
    gs_free_secret(NULL, 10);
    gs_free_secret(gs_strdup("secret"), 6);
}

static void freep_leaves_null(void **state)
{
    char *p = gs_strdup("x");
    (void)state;
    gs_freep(&p);
    assert_null(p);
}

static void out_of_memory_ends_the_process(void **state)
{
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        free(gs_realloc_n(NULL, SIZE_MAX / 2, 4));
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocates_zeroed),
        cmocka_unit_test(copies),
        cmocka_unit_test(wipes),
        cmocka_unit_test(freep_leaves_null),
        cmocka_unit_test(out_of_memory_ends_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
