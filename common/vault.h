/* Envelope encryption with AES-256-GCM: secrets are sealed under a data key of (organisation, category), data keys
 * under the category's key, which comes from a file or the environment. Pure: no database in it.
 *
 * Sealed bytes: 'G' 'S' version(1) idlen(1) key-id nonce(12) ciphertext tag(16). The key id says what opens it. The
 * additional data binds a sealed value to its place ("credential:42:third_party"), so rows cannot be swapped. */
#ifndef GS_VAULT_H
#define GS_VAULT_H

#include "common/env.h"
#include "common/rc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GS_KEY_BYTES     32
#define GS_KEY_ID_MAX    32 /* letters, digits, '-', '_', '.' */
#define GS_SEAL_OVERHEAD (4 + GS_KEY_ID_MAX + 12 + 16)
#define GS_SECRET_MAX    (64 * 1024)

enum gs_category { GS_IN_BOUNDARY, GS_CROSS_BOUNDARY, GS_THIRD_PARTY, GS_CATEGORIES };
const char *gs_category_name(enum gs_category c);             /* "in_boundary": database, protobuf, settings */
const char *gs_category_dashed(enum gs_category c);           /* "in-boundary": folders, topics, executables */
bool gs_category_parse(const char *s, enum gs_category *ret); /* either form */

/* GOALSYNC_KEY_IN_BOUNDARY, GOALSYNC_KEY_CROSS_BOUNDARY, GOALSYNC_KEY_THIRD_PARTY: "id:base64 of 32 bytes", the active
 * key first, older ones after it, separated by white space or commas. One table for each category; a process reads only
 * what it may open. */
extern const struct gs_env *const gs_vault_env[GS_CATEGORIES];

struct gs_keyring; /* the category's keys */

/* From the settings read; once, for it wipes the text. GS_REJECT text names the setting and what is wrong with it,
 * never its contents. */
struct gs_keyring *gs_keyring_from_env(enum gs_category c, struct gs_err *err);
struct gs_keyring *gs_keyring_parse(const char *text, struct gs_err *err);
struct gs_keyring *gs_keyring_free(struct gs_keyring *k);  /* wipes */
const char *gs_keyring_active(const struct gs_keyring *k); /* id */

/* dst has len + GS_SEAL_OVERHEAD bytes. */
enum gs_rc gs_keyring_seal(const struct gs_keyring *k, const char *place, const void *src, size_t len, void *dst,
                           size_t *ret_len, struct gs_err *err) GS_MUST_CHECK;
/* dst has len bytes. GS_REJECT: not ours, unknown key id (named), or tampered with. */
enum gs_rc gs_keyring_open(const struct gs_keyring *k, const char *place, const void *src, size_t len, void *dst,
                           size_t *ret_len, struct gs_err *err) GS_MUST_CHECK;

/* A data key in the clear; wipe with gs_data_key_done(). */
struct gs_data_key {
    char id[GS_KEY_ID_MAX + 1]; /* "dk<row id>" */
    unsigned char key[GS_KEY_BYTES];
};

enum gs_rc gs_data_key_new(const char *id, struct gs_data_key *ret, struct gs_err *err) GS_MUST_CHECK;
/* Sealed under the keyring with the place "data_key:<id>". */
enum gs_rc gs_data_key_seal(const struct gs_keyring *k, const struct gs_data_key *d, void *dst, size_t *ret_len,
                            struct gs_err *err) GS_MUST_CHECK;
enum gs_rc gs_data_key_open(const struct gs_keyring *k, const char *id, const void *src, size_t len,
                            struct gs_data_key *ret, struct gs_err *err) GS_MUST_CHECK;
void gs_data_key_done(struct gs_data_key *d);

enum gs_rc gs_secret_seal(const struct gs_data_key *d, const char *place, const void *src, size_t len, void *dst,
                          size_t *ret_len, struct gs_err *err) GS_MUST_CHECK;
enum gs_rc gs_secret_open(const struct gs_data_key *d, const char *place, const void *src, size_t len, void *dst,
                          size_t *ret_len, struct gs_err *err) GS_MUST_CHECK;
/* The id in a sealed value's head, or GS_REJECT. */
enum gs_rc gs_sealed_key_id(const void *src, size_t len, char ret[GS_KEY_ID_MAX + 1], struct gs_err *err) GS_MUST_CHECK;

#endif
