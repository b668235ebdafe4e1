/* Which addresses may be connected to.
 * links: goalsync_common */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "common/egress.h"

static bool allowed(const char *text, bool allow_private)
{
    struct sockaddr_storage a = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&a;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&a;

    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1)
        a.ss_family = AF_INET;
    else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1)
        a.ss_family = AF_INET6;
    else
        fail_msg("%s is no address", text);
    return gs_egress_allowed(&allow_private, (struct sockaddr *)&a);
}

static void test_public(void **state)
{
    static const char *const addresses[] = {"1.1.1.1",         "11.0.0.1",       "172.15.0.1",
                                            "172.32.0.1",      "100.128.0.1",    "192.167.1.1",
                                            "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101",
                                            "168.63.129.17",   "192.0.1.1",      "2001:4860:4860::8888"};

    (void)state;
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        if (!allowed(addresses[i], false) || !allowed(addresses[i], true))
            fail_msg("%s is refused", addresses[i]);
    }
}

static void test_private(void **state)
{
    static const char *const addresses[] = {
        "127.0.0.1",  "127.9.9.9", "10.1.2.3", "172.16.0.1", "172.31.255.255",   "192.168.0.1",     "100.64.0.1",
        "198.18.0.1", "::1",       "fd00::1",  "fc00::1",    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1"};

    (void)state;
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        if (allowed(addresses[i], false))
            fail_msg("%s is allowed", addresses[i]);
        if (!allowed(addresses[i], true))
            fail_msg("%s is refused although private ones are allowed", addresses[i]);
    }
}

static void test_never(void **state)
{
    static const char *const addresses[] = {"0.0.0.0",
                                            "0.1.2.3",
                                            "100.100.100.200",
                                            "fd00:ec2::254",
                                            "169.254.169.254",
                                            "224.0.0.1",
                                            "255.255.255.255",
                                            "::",
                                            "fe80::1",
                                            "ff02::1",
                                            "::ffff:169.254.169.254",
                                            "2002:7f00:1::",
                                            "64:ff9b::a9fe:a9fe",
                                            "168.63.129.16",
                                            "192.0.0.192",
                                            "fd20:ce::254",
                                            "2001:0:7f00:1::1"};

    (void)state;
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        if (allowed(addresses[i], false) || allowed(addresses[i], true))
            fail_msg("%s is allowed", addresses[i]);
    }
    bool allow = true;
    assert_false(gs_egress_allowed(&allow, &(struct sockaddr){.sa_family = AF_UNIX}));
}

static void test_hosts(void **state)
{
    static const char *const refused[] = {"127.0.0.1",  "2130706433",  "0x7f.1",    "127.1",
                                          "[::1]",      "10.1.2.3",    "[fd00::1]", "localhost",
                                          "LocalHost.", "a.localhost", "012.1.2.3", "[::ffff:10.0.0.1]"};
    static const char *const fine[] = {
        "example.org", "1.1.1.1", "[2606:4700::1111]", "notlocalhost", "localhost.example", "", "[", "[]",
        "[::1",        "::1"};

    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        if (!gs_egress_host_refused(refused[i], false))
            fail_msg("%s is not refused", refused[i]);
        if (gs_egress_host_refused(refused[i], true))
            fail_msg("%s is refused although private ones are allowed", refused[i]);
    }
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++)
        if (gs_egress_host_refused(fine[i], false))
            fail_msg("%s is refused", fine[i]);
    assert_true(gs_egress_host_refused("169.254.169.254", true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_public), cmocka_unit_test(test_private),
                                       cmocka_unit_test(test_never), cmocka_unit_test(test_hosts)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
