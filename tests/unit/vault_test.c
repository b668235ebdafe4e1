/* What is sealed opens with the right key at the right place and nowhere else; keyring texts are judged without being
 * shown. */
#include "common/vault.h"

#include "common/mem.h"
#include "common/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>

/* Keys of 32 bytes that count up from 1, from 2, from 3. */
#define KEY_1 "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
#define KEY_2 "AgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fICE="
#define KEY_3 "AwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISI="

static struct gs_keyring *keyring(const char *text)
{
    struct gs_err err = {.text = ""};
    struct gs_keyring *k = gs_keyring_parse(text, &err);
    assert_string_equal(err.text, "");
    assert_non_null(k);
    return k;
}

static void categories(void **state)
{
    enum gs_category c;
    (void)state;
    for (int i = 0; i < GS_CATEGORIES; i++) {
        assert_true(gs_category_parse(gs_category_name((enum gs_category)i), &c) && (int)c == i);
        assert_true(gs_category_parse(gs_category_dashed((enum gs_category)i), &c) && (int)c == i);
    }
    assert_false(gs_category_parse("in boundary", &c));
    assert_string_equal(gs_category_name(GS_THIRD_PARTY), "third_party");
    assert_string_equal(gs_category_dashed(GS_IN_BOUNDARY), "in-boundary");
}

static void seals_and_opens(void **state)
{
    static const size_t sizes[] = {0, 1, 15, 16, 17, 1000, GS_SECRET_MAX};
    struct gs_keyring *k = keyring("k2:" KEY_2 "\nk1:" KEY_1);
    struct gs_err err;
    unsigned char *src = gs_alloc(GS_SECRET_MAX + 1), *dst = gs_alloc(GS_SECRET_MAX), *sealed = NULL;
    (void)state;
    for (size_t i = 0; i < GS_SECRET_MAX; i++)
        src[i] = (unsigned char)(i * 7);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        size_t sealed_len, len;
        sealed = gs_realloc_n(sealed, sizes[i] + GS_SEAL_OVERHEAD, 1);
        assert_int_equal(gs_keyring_seal(k, "here", src, sizes[i], sealed, &sealed_len, &err), GS_OK);
        assert_int_equal(sealed_len, sizes[i] + 4 + 2 + 12 + 16);
        assert_memory_equal(sealed, "GS\x01\x02k2", 6);
        assert_int_equal(gs_keyring_open(k, "here", sealed, sealed_len, dst, &len, &err), GS_OK);
        assert_int_equal(len, sizes[i]);
        assert_memory_equal(dst, src, len);
    }
    size_t sealed_len;
    assert_int_equal(gs_keyring_seal(k, "here", src, GS_SECRET_MAX + 1, sealed, &sealed_len, &err), GS_REJECT);
    free(src);
    free(dst);
    free(sealed);
    gs_keyring_free(k);
}

/* Sealed by another implementation of AES-256-GCM: key KEY_1 as "dk1", place "seed", nonce 00..0b, text "secret". */
static void opens_what_others_sealed(void **state)
{
    static const unsigned char sealed[] = {0x47, 0x53, 0x01, 0x03, 0x64, 0x6b, 0x31, 0x00, 0x01, 0x02, 0x03,
                                           0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x02, 0x55, 0x62,
                                           0xe5, 0xad, 0xa9, 0x1e, 0xa0, 0x95, 0x00, 0xa2, 0xb4, 0x69, 0x36,
                                           0x73, 0x83, 0x05, 0xda, 0x79, 0x08, 0x23, 0xd3};
    struct gs_keyring *k = keyring("dk1:" KEY_1);
    struct gs_err err;
    char dst[sizeof(sealed)];
    size_t len;
    (void)state;
    assert_int_equal(gs_keyring_open(k, "seed", sealed, sizeof(sealed), dst, &len, &err), GS_OK);
    assert_int_equal(len, 6);
    assert_memory_equal(dst, "secret", 6);
    gs_keyring_free(k);
}

static void nonces_differ(void **state)
{
    struct gs_keyring *k = keyring("k1:" KEY_1);
    struct gs_err err;
    unsigned char a[100], b[100];
    size_t len;
    (void)state;
    assert_int_equal(gs_keyring_seal(k, "here", "x", 1, a, &len, &err), GS_OK);
    assert_int_equal(gs_keyring_seal(k, "here", "x", 1, b, &len, &err), GS_OK);
    assert_memory_not_equal(a + 6, b + 6, 12);
    gs_keyring_free(k);
}

static void any_flipped_bit_is_found(void **state)
{
    struct gs_keyring *k = keyring("k1:" KEY_1 ",k3:" KEY_3 ",c1:" KEY_2);
    struct gs_err err;
    unsigned char sealed[100], dst[100];
    size_t sealed_len, len;
    (void)state;
    assert_int_equal(gs_keyring_seal(k, "here", "secret", 6, sealed, &sealed_len, &err), GS_OK);
    for (size_t i = 0; i < sealed_len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            sealed[i] ^= (unsigned char)(1 << bit);
            memset(dst, 'x', sizeof(dst));
            assert_int_equal(gs_keyring_open(k, "here", sealed, sealed_len, dst, &len, &err), GS_REJECT);
            assert_memory_not_equal(dst, "secret", 6); /* nothing is left of a forgery */
            sealed[i] ^= (unsigned char)(1 << bit);
        }
    }
    for (size_t cut = 0; cut < sealed_len; cut++)
        assert_int_equal(gs_keyring_open(k, "here", sealed, cut, dst, &len, &err), GS_REJECT);
    assert_int_equal(gs_keyring_open(k, "here", sealed, sealed_len, dst, &len, &err), GS_OK);
    gs_keyring_free(k);
}

static void other_places_and_keys(void **state)
{
    struct gs_keyring *k = keyring("k1:" KEY_1), *other = keyring("k1:" KEY_2), *none = keyring("k9:" KEY_1);
    struct gs_err err;
    unsigned char sealed[100], dst[100];
    size_t sealed_len, len;
    (void)state;
    assert_int_equal(gs_keyring_seal(k, "credential:1:third_party", "secret", 6, sealed, &sealed_len, &err), GS_OK);
    assert_int_equal(gs_keyring_open(k, "credential:2:third_party", sealed, sealed_len, dst, &len, &err), GS_REJECT);
    assert_int_equal(gs_keyring_open(k, "", sealed, sealed_len, dst, &len, &err), GS_REJECT);
    assert_int_equal(gs_keyring_open(other, "credential:1:third_party", sealed, sealed_len, dst, &len, &err),
                     GS_REJECT);
    assert_int_equal(gs_keyring_open(none, "credential:1:third_party", sealed, sealed_len, dst, &len, &err), GS_REJECT);
    assert_non_null(strstr(err.text, "'k1'"));
    gs_keyring_free(k);
    gs_keyring_free(other);
    gs_keyring_free(none);
}

static void rotation(void **state)
{
    struct gs_keyring *before = keyring("k1:" KEY_1), *after = keyring("  k2:" KEY_2 " ,\n k1:" KEY_1 "\n");
    struct gs_err err;
    unsigned char sealed[100], dst[100];
    char id[GS_KEY_ID_MAX + 1];
    size_t sealed_len, len;
    (void)state;
    assert_int_equal(gs_keyring_seal(before, "here", "secret", 6, sealed, &sealed_len, &err), GS_OK);
    assert_int_equal(gs_keyring_open(after, "here", sealed, sealed_len, dst, &len, &err), GS_OK);
    assert_string_equal(gs_keyring_active(after), "k2");
    assert_int_equal(gs_keyring_seal(after, "here", "secret", 6, sealed, &sealed_len, &err), GS_OK);
    assert_int_equal(gs_sealed_key_id(sealed, sealed_len, id, &err), GS_OK);
    assert_string_equal(id, "k2");
    assert_int_equal(gs_sealed_key_id("plain text", 10, id, &err), GS_REJECT);
    gs_keyring_free(before);
    gs_keyring_free(after);
}

static void wrong_keyrings(void **state)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"", "there is no key"},
        {" ,\n", "there is no key"},
        {KEY_1, "key 1 has no id"},
        {"k1:" KEY_1 " " KEY_2, "key 2 has no id"},
        {":" KEY_1, "id of key 1"},
        {"k/1:" KEY_1, "id of key 1"},
        {"a23456789012345678901234567890123:" KEY_1, "id of key 1"},
        {"k1:" KEY_1 " k1:" KEY_2, "used before"},
        {"k1:" KEY_1 " k2:" KEY_1, "same as key 1"},
        {"k1:c2hvcnQ=", "not base64 of 32 bytes"},
        {"k1:" KEY_1 "AA==", "not base64 of 32 bytes"},
        {"k1:not*base64", "not base64 of 32 bytes"},
        {"k1:", "not base64 of 32 bytes"},
        {"k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "not random"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct gs_err err = {.text = ""};
        assert_null(gs_keyring_parse(cases[i].text, &err));
        assert_int_equal(err.rc, GS_REJECT);
        assert_non_null(strstr(err.text, cases[i].why));
        assert_null(strstr(err.text, "AQID")); /* never the key, also when it stands at the wrong place */
    }
}

static void from_the_environment(void **state)
{
    const struct gs_env *const tables[] = {gs_vault_env[GS_CROSS_BOUNDARY], NULL};
    struct gs_buf mistakes;
    struct gs_err err;
    (void)state;
    gs_buf_init(&mistakes, 1000);
    assert_null(gs_keyring_from_env(GS_CROSS_BOUNDARY, &err));
    setenv("GOALSYNC_KEY_CROSS_BOUNDARY", "k1:" KEY_1, 1);
    assert_int_equal(gs_env_read(tables, &mistakes), GS_OK);
    assert_null(getenv("GOALSYNC_KEY_CROSS_BOUNDARY"));
    struct gs_keyring *k = gs_keyring_from_env(GS_CROSS_BOUNDARY, &err);
    assert_non_null(k);
    gs_keyring_free(k);
    assert_null(gs_keyring_from_env(GS_CROSS_BOUNDARY, &err)); /* the text was wiped */

    setenv("GOALSYNC_KEY_CROSS_BOUNDARY", "k1:c2hvcnQ=", 1);
    assert_int_equal(gs_env_read(tables, &mistakes), GS_OK);
    assert_null(gs_keyring_from_env(GS_CROSS_BOUNDARY, &err));
    assert_int_equal(err.rc, GS_REJECT);
    assert_true(gs_str_starts(err.text, "GOALSYNC_KEY_CROSS_BOUNDARY: "));
    assert_null(strstr(err.text, "c2hvcnQ"));
    assert_int_equal(gs_env_read(tables, &mistakes), GS_REJECT); /* required */
    gs_buf_done(&mistakes);
}

static void data_keys(void **state)
{
    struct gs_keyring *k = keyring("k1:" KEY_1);
    struct gs_data_key d, other, opened;
    struct gs_err err;
    unsigned char sealed[GS_KEY_BYTES + GS_SEAL_OVERHEAD], secret[100], dst[100];
    size_t sealed_len, secret_len, len;
    (void)state;
    assert_int_equal(gs_data_key_new("dk7", &d, &err), GS_OK);
    assert_int_equal(gs_data_key_new("dk8", &other, &err), GS_OK);
    assert_memory_not_equal(d.key, other.key, GS_KEY_BYTES);
    assert_int_equal(gs_data_key_seal(k, &d, sealed, &sealed_len, &err), GS_OK);
    assert_int_equal(gs_data_key_open(k, "dk7", sealed, sealed_len, &opened, &err), GS_OK);
    assert_string_equal(opened.id, "dk7");
    assert_memory_equal(opened.key, d.key, GS_KEY_BYTES);
    assert_int_equal(gs_data_key_open(k, "dk8", sealed, sealed_len, &opened, &err), GS_REJECT); /* rows swapped */

    assert_int_equal(gs_secret_seal(&d, "credential:1", "token", 5, secret, &secret_len, &err), GS_OK);
    assert_int_equal(gs_secret_open(&d, "credential:1", secret, secret_len, dst, &len, &err), GS_OK);
    assert_memory_equal(dst, "token", 5);
    assert_int_equal(gs_secret_open(&d, "credential:2", secret, secret_len, dst, &len, &err), GS_REJECT);
    assert_int_equal(gs_secret_open(&other, "credential:1", secret, secret_len, dst, &len, &err), GS_REJECT);
    assert_non_null(strstr(err.text, "'dk7'"));
    gs_data_key_done(&d);
    for (size_t i = 0; i < GS_KEY_BYTES; i++)
        assert_int_equal(d.key[i], 0);
    gs_keyring_free(k);
}

/* A value of another length where a data key is expected must not reach beyond the key. */
static void data_keys_of_wrong_size(void **state)
{
    struct gs_keyring *k = keyring("k1:" KEY_1);
    struct gs_data_key opened;
    struct gs_err err;
    unsigned char text[64] = {1}, sealed[sizeof(text) + GS_SEAL_OVERHEAD];
    size_t len;
    (void)state;
    assert_int_equal(gs_keyring_seal(k, "data_key:dk7", text, sizeof(text), sealed, &len, &err), GS_OK);
    assert_int_equal(gs_data_key_open(k, "dk7", sealed, len, &opened, &err), GS_REJECT);
    assert_int_equal(gs_keyring_seal(k, "data_key:dk7", text, 16, sealed, &len, &err), GS_OK);
    assert_int_equal(gs_data_key_open(k, "dk7", sealed, len, &opened, &err), GS_REJECT);
    assert_int_equal(gs_data_key_new("dk 7", &opened, &err), GS_REJECT);
    assert_int_equal(gs_data_key_new("dk3456789012345678901234567890123", &opened, &err), GS_REJECT);
    gs_keyring_free(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(categories),
        cmocka_unit_test(seals_and_opens),
        cmocka_unit_test(opens_what_others_sealed),
        cmocka_unit_test(nonces_differ),
        cmocka_unit_test(any_flipped_bit_is_found),
        cmocka_unit_test(other_places_and_keys),
        cmocka_unit_test(rotation),
        cmocka_unit_test(wrong_keyrings),
        cmocka_unit_test(from_the_environment),
        cmocka_unit_test(data_keys),
        cmocka_unit_test(data_keys_of_wrong_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
