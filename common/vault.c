/* Envelope encryption: keyrings, data keys, sealed bytes. Pure: no database, no clock. */
#include "common/vault.h"

#include "common/mem.h"
#include "common/str.h"

#include <assert.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define VERSION    1
#define HEAD       4 /* 'G' 'S' version idlen */
#define NONCE      12
#define TAG        16
#define MAX_KEYS   16
#define MAX_PLACE  256
#define SEPARATORS " \t\r\n,"
#define PLACE_TEXT (sizeof("data_key:") + GS_KEY_ID_MAX)

static const char *const names[GS_CATEGORIES] = {"in_boundary", "cross_boundary", "third_party"};
static const char *const dashed[GS_CATEGORIES] = {"in-boundary", "cross-boundary", "third-party"};

static char *key_texts[GS_CATEGORIES];

#define KEY_HELP "keys that open this category's credentials: id:base64 of 32 bytes, the active one first"

static const struct gs_env in_boundary_env[] = {
    {"GOALSYNC_KEY_IN_BOUNDARY", GS_ENV_SECRET, &key_texts[GS_IN_BOUNDARY], GS_ENV_REQUIRED, 0, 0, KEY_HELP},
    GS_ENV_END,
};
static const struct gs_env cross_boundary_env[] = {
    {"GOALSYNC_KEY_CROSS_BOUNDARY", GS_ENV_SECRET, &key_texts[GS_CROSS_BOUNDARY], GS_ENV_REQUIRED, 0, 0, KEY_HELP},
    GS_ENV_END,
};
static const struct gs_env third_party_env[] = {
    {"GOALSYNC_KEY_THIRD_PARTY", GS_ENV_SECRET, &key_texts[GS_THIRD_PARTY], GS_ENV_REQUIRED, 0, 0, KEY_HELP},
    GS_ENV_END,
};

const struct gs_env *const gs_vault_env[GS_CATEGORIES] = {in_boundary_env, cross_boundary_env, third_party_env};

const char *gs_category_name(enum gs_category c)
{
    return names[c];
}

const char *gs_category_dashed(enum gs_category c)
{
    return dashed[c];
}

bool gs_category_parse(const char *s, enum gs_category *ret)
{
    for (int i = 0; i < GS_CATEGORIES; i++) {
        if (gs_str_eq(s, names[i]) || gs_str_eq(s, dashed[i])) {
            *ret = (enum gs_category)i;
            return true;
        }
    }
    return false;
}

/* ---- keyrings ---- */

struct named_key {
    char id[GS_KEY_ID_MAX + 1];
    unsigned char key[GS_KEY_BYTES];
};

/* Lives in pages of its own that are neither swapped nor dumped. */
struct gs_keyring {
    size_t n;
    struct named_key keys[MAX_KEYS]; /* the active one first */
};

static struct gs_keyring *keyring_new(void)
{
    struct gs_keyring *k = mmap(NULL, sizeof(*k), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (k == MAP_FAILED)
        abort(); /* out of memory, as in gs_alloc() */
    /* Both only lower a risk; a container may forbid them. */
    (void)mlock(k, sizeof(*k));
    (void)madvise(k, sizeof(*k), MADV_DONTDUMP);
    return k;
}

struct gs_keyring *gs_keyring_free(struct gs_keyring *k)
{
    if (!k)
        return NULL;
    gs_wipe(k, sizeof(*k));
    munmap(k, sizeof(*k)); /* unlocks too */
    return NULL;
}

static bool id_valid(const char *id, size_t len)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
    if (len == 0 || len > GS_KEY_ID_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!id[i] || !strchr(allowed, id[i]))
            return false;
    }
    return true;
}

static const struct named_key *find_key(const struct gs_keyring *k, const char *id)
{
    for (size_t i = 0; i < k->n; i++) {
        if (strcmp(k->keys[i].id, id) == 0)
            return &k->keys[i];
    }
    return NULL;
}

/* A key of one repeated byte was typed, not generated. */
static bool key_weak(const unsigned char *key)
{
    for (size_t i = 1; i < GS_KEY_BYTES; i++) {
        if (key[i] != key[0])
            return false;
    }
    return true;
}

/* Adds "id:base64". Errors name the position only: the text may be a key at the wrong place. */
static enum gs_rc add_key(struct gs_keyring *k, const char *text, size_t len, struct gs_err *err)
{
    struct named_key *key = &k->keys[k->n];
    const char *colon = memchr(text, ':', len);
    size_t id_len = colon ? (size_t)(colon - text) : 0, key_len;
    int number = (int)k->n + 1;
    if (k->n == MAX_KEYS)
        return gs_fail(err, GS_REJECT, "there are more than %d keys; remove old ones", MAX_KEYS);
    if (!colon)
        return gs_fail(err, GS_REJECT, "key %d has no id; write it as id:base64", number);
    if (!id_valid(text, id_len))
        return gs_fail(err, GS_REJECT, "the id of key %d is not 1 to %d letters, digits, '-', '_' or '.'", number,
                       GS_KEY_ID_MAX);
    memcpy(key->id, text, id_len);
    key->id[id_len] = 0;
    if (find_key(k, key->id))
        return gs_fail(err, GS_REJECT, "the id of key %d was used before; each key needs its own", number);
    if (!gs_base64_decode(colon + 1, len - id_len - 1, key->key, GS_KEY_BYTES, &key_len) || key_len != GS_KEY_BYTES)
        return gs_fail(err, GS_REJECT, "key %d is not base64 of %d bytes; make one with: openssl rand -base64 %d",
                       number, GS_KEY_BYTES, GS_KEY_BYTES);
    for (size_t i = 0; i < k->n; i++) {
        if (memcmp(k->keys[i].key, key->key, GS_KEY_BYTES) == 0)
            return gs_fail(err, GS_REJECT, "key %d is the same as key %d under another id", number, (int)i + 1);
    }
    if (key_weak(key->key))
        return gs_fail(err, GS_REJECT, "key %d is not random; make one with: openssl rand -base64 %d", number,
                       GS_KEY_BYTES);
    k->n++;
    return GS_OK;
}

struct gs_keyring *gs_keyring_parse(const char *text, struct gs_err *err)
{
    struct gs_keyring *k = keyring_new();
    text += strspn(text, SEPARATORS);
    while (*text) {
        size_t len = strcspn(text, SEPARATORS);
        if (add_key(k, text, len, err) != GS_OK)
            return gs_keyring_free(k);
        text += len;
        text += strspn(text, SEPARATORS);
    }
    if (k->n > 0)
        return k;
    gs_fail(err, GS_REJECT, "there is no key; write at least one as id:base64");
    return gs_keyring_free(k);
}

struct gs_keyring *gs_keyring_from_env(enum gs_category c, struct gs_err *err)
{
    const char *name = gs_vault_env[c][0].name;
    struct gs_err cause = {.text = "its keys were taken before or never read"};
    struct gs_keyring *k = NULL;
    if (key_texts[c]) {
        k = gs_keyring_parse(key_texts[c], &cause);
        gs_free_secret(key_texts[c], strlen(key_texts[c]));
        key_texts[c] = NULL;
    }
    if (!k)
        gs_fail(err, GS_REJECT, "%s: %s", name, cause.text);
    return k;
}

const char *gs_keyring_active(const struct gs_keyring *k)
{
    return k->keys[0].id;
}

/* ---- sealed bytes ---- */

/* What a value is sealed with: borrowed from a keyring or a data key. */
struct sealer {
    const char *id;
    const unsigned char *key;
    const char *place;
};

/* A sealed value taken apart; points into it. */
struct sealed {
    char id[GS_KEY_ID_MAX + 1];
    const unsigned char *nonce, *text, *tag;
    size_t text_len;
};

static enum gs_rc parse_sealed(const void *src, size_t len, struct sealed *ret, struct gs_err *err)
{
    const unsigned char *p = src;
    if (len < HEAD || p[0] != 'G' || p[1] != 'S')
        return gs_fail(err, GS_REJECT, "these bytes were not sealed by goalsync");
    if (p[2] != VERSION)
        return gs_fail(err, GS_REJECT, "sealed in format %d; this version opens format %d only", p[2], VERSION);
    size_t id_len = p[3];
    if (len < HEAD + id_len + NONCE + TAG || !id_valid((const char *)p + HEAD, id_len))
        return gs_fail(err, GS_REJECT, "sealed bytes are damaged or cut off");
    memcpy(ret->id, p + HEAD, id_len);
    ret->id[id_len] = 0;
    ret->nonce = p + HEAD + id_len;
    ret->text = ret->nonce + NONCE;
    ret->text_len = len - HEAD - id_len - NONCE - TAG;
    ret->tag = p + len - TAG;
    if (ret->text_len > GS_SECRET_MAX)
        return gs_fail(err, GS_REJECT, "sealed bytes are longer than %d", GS_SECRET_MAX);
    return GS_OK;
}

enum gs_rc gs_sealed_key_id(const void *src, size_t len, char ret[GS_KEY_ID_MAX + 1], struct gs_err *err)
{
    struct sealed s;
    enum gs_rc rc = parse_sealed(src, len, &s, err);
    if (rc == GS_OK)
        memcpy(ret, s.id, sizeof(s.id));
    return rc;
}

static EVP_CIPHER_CTX *new_cipher(void)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    if (!ctx)
        abort(); /* out of memory, as in gs_alloc() */
    return ctx;
}

static bool encrypt(const struct sealer *s, const unsigned char *nonce, const void *src, size_t len, unsigned char *dst)
{
    EVP_CIPHER_CTX *ctx = new_cipher();
    int n;
    bool ok = EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, s->key, nonce) == 1 &&
              EVP_EncryptUpdate(ctx, NULL, &n, (const unsigned char *)s->place, (int)strlen(s->place)) == 1 &&
              (len == 0 || EVP_EncryptUpdate(ctx, dst, &n, src, (int)len) == 1) &&
              EVP_EncryptFinal_ex(ctx, dst + len, &n) == 1 &&
              EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG, dst + len) == 1;
    EVP_CIPHER_CTX_free(ctx);
    return ok;
}

static bool decrypt(const struct sealer *s, const struct sealed *sealed, unsigned char *dst)
{
    EVP_CIPHER_CTX *ctx = new_cipher();
    unsigned char tag[TAG], none[TAG];
    int n, len = (int)sealed->text_len;
    memcpy(tag, sealed->tag, TAG);
    bool ok = EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, s->key, sealed->nonce) == 1 &&
              EVP_DecryptUpdate(ctx, NULL, &n, (const unsigned char *)s->place, (int)strlen(s->place)) == 1 &&
              (len == 0 || EVP_DecryptUpdate(ctx, dst, &n, sealed->text, len) == 1) &&
              EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG, tag) == 1 && EVP_DecryptFinal_ex(ctx, none, &n) == 1;
    EVP_CIPHER_CTX_free(ctx);
    return ok;
}

static enum gs_rc seal(const struct sealer *s, const void *src, size_t len, unsigned char *dst, size_t *ret_len,
                       struct gs_err *err)
{
    size_t id_len = strlen(s->id);
    assert(strlen(s->place) <= MAX_PLACE);
    if (len > GS_SECRET_MAX)
        return gs_fail(err, GS_REJECT, "a secret is longer than %d bytes", GS_SECRET_MAX);
    const unsigned char head[HEAD] = {'G', 'S', VERSION, (unsigned char)id_len};
    memcpy(dst, head, HEAD);
    memcpy(dst + HEAD, s->id, id_len);
    unsigned char *nonce = dst + HEAD + id_len;
    if (RAND_bytes(nonce, NONCE) != 1 || !encrypt(s, nonce, src, len, nonce + NONCE))
        return gs_fail(err, GS_FATAL, "OpenSSL does not encrypt with AES-256-GCM here");
    *ret_len = HEAD + id_len + NONCE + len + TAG;
    return GS_OK;
}

static enum gs_rc open_sealed(const struct sealer *s, const struct sealed *sealed, void *dst, size_t *ret_len,
                              struct gs_err *err)
{
    assert(strlen(s->place) <= MAX_PLACE);
    if (!decrypt(s, sealed, dst)) {
        gs_wipe(dst, sealed->text_len); /* decrypted before the tag was checked */
        return gs_fail(err, GS_REJECT,
                       "what key '%s' sealed does not open: another key of that id, moved from another row, or damaged",
                       sealed->id);
    }
    *ret_len = sealed->text_len;
    return GS_OK;
}

enum gs_rc gs_keyring_seal(const struct gs_keyring *k, const char *place, const void *src, size_t len, void *dst,
                           size_t *ret_len, struct gs_err *err)
{
    const struct sealer s = {k->keys[0].id, k->keys[0].key, place};
    return seal(&s, src, len, dst, ret_len, err);
}

enum gs_rc gs_keyring_open(const struct gs_keyring *k, const char *place, const void *src, size_t len, void *dst,
                           size_t *ret_len, struct gs_err *err)
{
    struct sealed sealed;
    enum gs_rc rc = parse_sealed(src, len, &sealed, err);
    if (rc != GS_OK)
        return rc;
    const struct named_key *key = find_key(k, sealed.id);
    if (!key)
        return gs_fail(err, GS_REJECT, "sealed with key '%s', which is not among the keys given", sealed.id);
    const struct sealer s = {key->id, key->key, place};
    return open_sealed(&s, &sealed, dst, ret_len, err);
}

/* ---- data keys ---- */

static void data_key_place(const char *id, char dst[PLACE_TEXT])
{
    snprintf(dst, PLACE_TEXT, "data_key:%.*s", GS_KEY_ID_MAX, id);
}

static enum gs_rc set_id(struct gs_data_key *d, const char *id, struct gs_err *err)
{
    size_t len = strnlen(id, GS_KEY_ID_MAX + 1);
    if (!id_valid(id, len))
        return gs_fail(err, GS_REJECT, "the id of a data key is not 1 to %d letters, digits, '-', '_' or '.'",
                       GS_KEY_ID_MAX);
    memcpy(d->id, id, len + 1);
    return GS_OK;
}

enum gs_rc gs_data_key_new(const char *id, struct gs_data_key *ret, struct gs_err *err)
{
    enum gs_rc rc = set_id(ret, id, err);
    if (rc == GS_OK && RAND_bytes(ret->key, GS_KEY_BYTES) != 1)
        rc = gs_fail(err, GS_FATAL, "OpenSSL has no random bytes");
    return rc;
}

enum gs_rc gs_data_key_seal(const struct gs_keyring *k, const struct gs_data_key *d, void *dst, size_t *ret_len,
                            struct gs_err *err)
{
    char place[PLACE_TEXT];
    data_key_place(d->id, place);
    return gs_keyring_seal(k, place, d->key, GS_KEY_BYTES, dst, ret_len, err);
}

enum gs_rc gs_data_key_open(const struct gs_keyring *k, const char *id, const void *src, size_t len,
                            struct gs_data_key *ret, struct gs_err *err)
{
    char place[PLACE_TEXT];
    struct sealed sealed;
    size_t key_len;
    enum gs_rc rc = set_id(ret, id, err);
    if (rc == GS_OK)
        rc = parse_sealed(src, len, &sealed, err);
    if (rc != GS_OK)
        return rc;
    if (sealed.text_len != GS_KEY_BYTES)
        return gs_fail(err, GS_REJECT, "data key '%s' is not %d bytes long", id, GS_KEY_BYTES);
    data_key_place(id, place);
    return gs_keyring_open(k, place, src, len, ret->key, &key_len, err);
}

void gs_data_key_done(struct gs_data_key *d)
{
    gs_wipe(d, sizeof(*d));
}

enum gs_rc gs_secret_seal(const struct gs_data_key *d, const char *place, const void *src, size_t len, void *dst,
                          size_t *ret_len, struct gs_err *err)
{
    const struct sealer s = {d->id, d->key, place};
    return seal(&s, src, len, dst, ret_len, err);
}

enum gs_rc gs_secret_open(const struct gs_data_key *d, const char *place, const void *src, size_t len, void *dst,
                          size_t *ret_len, struct gs_err *err)
{
    struct sealed sealed;
    enum gs_rc rc = parse_sealed(src, len, &sealed, err);
    if (rc != GS_OK)
        return rc;
    if (strcmp(sealed.id, d->id) != 0)
        return gs_fail(err, GS_REJECT, "sealed with data key '%s', not with '%s'", sealed.id, d->id);
    const struct sealer s = {d->id, d->key, place};
    return open_sealed(&s, &sealed, dst, ret_len, err);
}
