/* The issuer's keys, asked for by many threads at once: fetched once, not once each, found again after they changed,
 * and not asked for without end. The issuer is a fake in this process, for it must count, change and fail on command; a
 * real one is in tests/service/gateway_signin_test.py. links: goalsync_gateway */
#include "services/gateway/auth_private.h"

#include "common/clock.h"
#include "common/mem.h"
#include "services/gateway/auth_text.h"

#include <microhttpd.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include <netinet/in.h>

#define THREADS 16
#define ASKED   20 /* times by each */

static struct MHD_Daemon *server;
static char issuer[64], empty[] = "", no_file[] = "/dev/null";
static atomic_int descriptions, key_sets;
static atomic_bool failing;
static _Atomic(int) shown; /* which key the issuer shows: 0 or 1 */
static EVP_PKEY *keys[2];

/* ---- the fake ---- */

static void put_coordinate(struct gs_buf *b, EVP_PKEY *key, const char *param)
{
    unsigned char bytes[32];
    char text[64];
    BIGNUM *n = NULL;

    assert_int_equal(EVP_PKEY_get_bn_param(key, param, &n), 1);
    assert_int_equal(BN_bn2binpad(n, bytes, 32), 32);
    gw_base64url_encode(bytes, 32, text);
    gs_buf_puts(b, text);
    BN_free(n);
}

static void put_keys(struct gs_buf *b)
{
    int which = atomic_load(&shown);

    gs_buf_printf(b, "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"%d\",\"x\":\"", which);
    put_coordinate(b, keys[which], OSSL_PKEY_PARAM_EC_PUB_X);
    gs_buf_puts(b, "\",\"y\":\"");
    put_coordinate(b, keys[which], OSSL_PKEY_PARAM_EC_PUB_Y);
    gs_buf_puts(b, "\"}]}");
}

/* Runs on: the server's thread. */
static enum MHD_Result answer(void *arg, struct MHD_Connection *c, const char *url, const char *method,
                              const char *version, const char *data, size_t *size, void **state)
{
    struct gs_buf b;
    struct MHD_Response *r;
    enum MHD_Result done;

    (void)arg, (void)method, (void)version, (void)data, (void)size, (void)state;
    gs_buf_init(&b, 65536);
    if (strstr(url, "/.well-known/")) {
        atomic_fetch_add(&descriptions, 1);
        gs_buf_printf(&b, "{\"issuer\":\"%s\",\"jwks_uri\":\"%s/keys\"}", issuer, issuer);
    } else {
        atomic_fetch_add(&key_sets, 1);
        put_keys(&b);
    }
    r = MHD_create_response_from_buffer(b.len, b.data, MHD_RESPMEM_MUST_COPY);
    done = MHD_queue_response(c, atomic_load(&failing) ? 500 : 200, r);
    MHD_destroy_response(r);
    gs_buf_done(&b);
    return done;
}

/* Owned: a token that is signed with keys[which] and says kid. */
static char *token(int which, const char *kid)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    unsigned char der[80], raw[64];
    const unsigned char *at = der;
    size_t len = sizeof(der);
    char head[80], text[128];
    struct gs_buf b;

    gs_buf_init(&b, 4096);
    snprintf(head, sizeof(head), "{\"alg\":\"ES256\",\"kid\":\"%s\"}", kid);
    gw_base64url_encode(head, strlen(head), text);
    gs_buf_printf(&b, "%s.e30", text);
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, keys[which]), 1);
    assert_int_equal(EVP_DigestSign(ctx, der, &len, (const unsigned char *)b.data, b.len), 1);
    EVP_MD_CTX_free(ctx);
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &at, (long)len);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, 32), 32);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + 32, 32), 32);
    ECDSA_SIG_free(sig);
    gw_base64url_encode(raw, sizeof(raw), text);
    gs_buf_printf(&b, ".%s", text);
    return gs_buf_steal(&b);
}

static enum gs_rc verify(int which, const char *kid)
{
    char *text = token(which, kid);
    struct gw_jwt *t = NULL;
    struct gs_err err = {.rc = GS_OK};
    enum gs_rc rc = gw_jwt_parse(text, strlen(text), &t, &err);

    if (rc == GS_OK)
        rc = gw_issuer_verify(t, &err);
    gw_jwt_free(t);
    free(text);
    return rc;
}

static int setup(void **state)
{
    const union MHD_DaemonInfo *info;
    struct sockaddr_in local = {.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};

    (void)state;
    keys[0] = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    keys[1] = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    server = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, answer, NULL, MHD_OPTION_SOCK_ADDR,
                              &local, MHD_OPTION_END);
    assert_non_null(server);
    info = MHD_get_daemon_info(server, MHD_DAEMON_INFO_BIND_PORT);
    snprintf(issuer, sizeof(issuer), "http://127.0.0.1:%u", (unsigned)info->port);
    gw_auth_settings =
        (struct gw_auth_settings){.issuer = issuer, .client_id = empty, .ca_file = no_file, .allow_plain = true};
    gw_issuer_start();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    gw_fetch_stop();
    gw_issuer_stop();
    MHD_stop_daemon(server);
    EVP_PKEY_free(keys[0]);
    EVP_PKEY_free(keys[1]);
    return 0;
}

/* ---- many at once ---- */

struct crowd {
    int which;
    const char *kid; /* null: another made-up one each time */
    enum gs_rc wanted;
    atomic_int numbers, right, busy, other;
};

static void *ask(void *arg)
{
    struct crowd *crowd = arg;

    for (int i = 0; i < ASKED; i++) {
        char kid[32];
        enum gs_rc rc;

        snprintf(kid, sizeof(kid), "made-up-%d", atomic_fetch_add(&crowd->numbers, 1));
        rc = verify(crowd->which, crowd->kid ? crowd->kid : kid);
        atomic_fetch_add(rc == crowd->wanted ? &crowd->right : rc == GS_RETRY ? &crowd->busy : &crowd->other, 1);
    }
    return NULL;
}

static void all_ask(struct crowd *crowd)
{
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask, crowd), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

/* At the start: whoever does not find keys yet is told to come again, or waits for the one fetch. */
static void a_crowd_causes_one_fetch(void **state)
{
    struct crowd crowd = {.which = 0, .kid = "0", .wanted = GS_OK};

    (void)state;
    all_ask(&crowd);
    assert_int_equal(atomic_load(&crowd.other), 0);
    while (verify(0, "0") == GS_RETRY) {
    }
    assert_int_equal(verify(0, "0"), GS_OK);
    assert_int_equal(verify(1, "0"), GS_DENIED);
    assert_int_equal(atomic_load(&descriptions), 1);
    assert_int_equal(atomic_load(&key_sets), 1);
}

static void a_new_key_is_found_by_one_fetch(void **state)
{
    struct crowd crowd = {.which = 1, .kid = "1", .wanted = GS_OK};

    (void)state;
    atomic_store(&shown, 1);
    all_ask(&crowd);
    assert_int_equal(atomic_load(&crowd.other), 0);
    assert_true(atomic_load(&crowd.right) > 0);
    /* Those that wait share one attempt; one that comes right behind it finds the key. */
    assert_int_equal(atomic_load(&key_sets), 2);
    assert_int_equal(verify(0, "0"), GS_DENIED); /* the old key is not shown any more: fetched once more, to be sure */
    assert_int_equal(atomic_load(&key_sets), 3);
}

static void made_up_keys_do_not_become_a_stream_of_fetches(void **state)
{
    struct crowd crowd = {.which = 0, .wanted = GS_DENIED};
    int64_t began = gs_mono_us();

    (void)state;
    all_ask(&crowd);
    assert_int_equal(atomic_load(&crowd.other), 0);
    assert_true(atomic_load(&crowd.right) > 0);
    assert_int_equal(verify(1, "1"), GS_OK);
    assert_true(atomic_load(&key_sets) <=
                1 + GW_ISSUER_REFETCHES + (gs_mono_us() - began) / (GW_ISSUER_RETRY_S * 1000000) + 1);
}

static void an_issuer_that_fails_leaves_the_keys_it_gave(void **state)
{
    struct gw_issuer about;
    struct gs_err err;

    (void)state;
    atomic_store(&failing, true);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(verify(1, "1"), GS_OK);
        assert_int_not_equal(verify(0, "nobody's"), GS_OK);
    }
    assert_int_equal(gw_issuer_get(&about, &err), GS_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crowd_causes_one_fetch),
        cmocka_unit_test(a_new_key_is_found_by_one_fetch),
        cmocka_unit_test(made_up_keys_do_not_become_a_stream_of_fetches),
        cmocka_unit_test(an_issuer_that_fails_leaves_the_keys_it_gave),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
