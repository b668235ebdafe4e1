/* Reads the secret fields of a connection. By hand, because a general parser would leave copies in memory that nobody
 * wipes. */
#include "services/fetch/secret.h"

#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "common/auto.h"
#include "common/mem.h"

#define MEMBERS_MAX 8 /* of a credential */

struct member {
    const char *key, *value;
};

struct members {
    struct member at[MEMBERS_MAX];
    size_t n;
};

struct scan {
    const char *at, *end;
    char *out; /* decoded text is never longer than its JSON */
};

GS_AUTO_DEFINE(struct fetch_secrets, secrets_free, fetch_secrets_free)

static bool skip_to(struct scan *s, char c)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\t' || *s->at == '\n' || *s->at == '\r'))
        s->at++;
    if (s->at == s->end || *s->at != c)
        return false;
    s->at++;
    return true;
}

static bool read_hex4(struct scan *s, unsigned *ret)
{
    unsigned n = 0;

    if (s->end - s->at < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        char c = *s->at++;
        unsigned digit;

        if (c >= '0' && c <= '9')
            digit = (unsigned)(c - '0');
        else if ((c | 32) >= 'a' && (c | 32) <= 'f')
            digit = (unsigned)((c | 32) - 'a') + 10;
        else
            return false;
        n = n * 16 + digit;
    }
    *ret = n;
    return true;
}

/* Behind "\u". A zero would end the C string early; half a surrogate pair is no character. */
static bool read_unicode(struct scan *s)
{
    unsigned c, low;

    if (!read_hex4(s, &c) || !c || (c >= 0xdc00 && c <= 0xdfff))
        return false;
    if (c >= 0xd800 && c <= 0xdbff) {
        if (s->end - s->at < 6 || s->at[0] != '\\' || s->at[1] != 'u')
            return false;
        s->at += 2;
        if (!read_hex4(s, &low) || low < 0xdc00 || low > 0xdfff)
            return false;
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        *s->out++ = (char)(0xf0 | c >> 18);
        *s->out++ = (char)(0x80 | (c >> 12 & 63));
    } else if (c >= 0x800) {
        *s->out++ = (char)(0xe0 | c >> 12);
    }
    if (c >= 0x800)
        *s->out++ = (char)(0x80 | (c >> 6 & 63));
    else if (c >= 0x80)
        *s->out++ = (char)(0xc0 | c >> 6);
    *s->out++ = (char)(c >= 0x80 ? 0x80 | (c & 63) : c);
    return true;
}

static bool read_escape(struct scan *s)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";

    if (s->at == s->end)
        return false;
    char c = *s->at++;
    const char *p = c ? strchr(from, c) : NULL;

    if (c == 'u')
        return read_unicode(s);
    if (!p)
        return false;
    *s->out++ = to[p - from];
    return true;
}

static const char *read_string(struct scan *s)
{
    const char *start = s->out;

    if (!skip_to(s, '"'))
        return NULL;
    while (s->at < s->end && *s->at != '"') {
        char c = *s->at++;

        if (c == '\\' ? !read_escape(s) : (unsigned char)c < 0x20)
            return NULL;
        if (c != '\\')
            *s->out++ = c;
    }
    if (s->at == s->end)
        return NULL;
    s->at++;
    *s->out++ = '\0';
    return start;
}

static bool read_members(struct scan *s, struct members *m)
{
    if (!skip_to(s, '{'))
        return false;
    if (skip_to(s, '}'))
        return true;
    do {
        const char *key = read_string(s), *value;

        if (!key || !skip_to(s, ':') || m->n == MEMBERS_MAX)
            return false;
        value = read_string(s);
        if (!value)
            return false;
        m->at[m->n++] = (struct member){key, value};
    } while (skip_to(s, ','));
    return skip_to(s, '}');
}

static const char *member(const struct members *m, const char *key)
{
    for (size_t i = m->n; i-- > 0;) /* of two, the last */
        if (!strcmp(m->at[i].key, key))
            return m->at[i].value;
    return NULL;
}

/* ---- what is made of them ---- */

const char *const *fetch_secret_fields(enum fetch_auth_kind kind)
{
    static const char *const fields[][FETCH_SECRET_FIELDS_MAX + 1] = {
        [FETCH_NO_SECRET] = {NULL},
        [FETCH_BEARER] = {"token"},
        [FETCH_KEY] = {"token"},
        [FETCH_BASIC] = {"user", "password"},
        [FETCH_USER_PASSWORD] = {"user", "password"},
        [FETCH_OAUTH] = {NULL},
        [FETCH_OAUTH_CLIENT] = {"client_id", "client_secret"},
        [FETCH_OAUTH_JWT] = {"key"},
        [FETCH_KEY_PAIR] = {"private_key"},
        [FETCH_AWS] = {"access_key_id", "secret_access_key"},
    };

    return fields[kind];
}

const struct fetch_auth *fetch_auth_find(const struct fetch_connector *c, const char *name)
{
    for (const struct fetch_auth *a = c->auths; a && a->name; a++)
        if (!*name || !strcmp(a->name, name))
            return a;
    return NULL;
}

/* The value of the header: prefix and token, in room behind everything that was read. */
static enum gs_rc put_header(struct fetch_secrets *x, const char *name, const char *prefix, const char *token,
                             char *room, struct gs_err *err)
{
    if (!token || !*token)
        return gs_fail(err, GS_DENIED, "the credential has no token; give the connection a new one");
    for (const char *p = token; *p; p++) {
        if (*p <= 0x20 || *p >= 0x7f)
            return gs_fail(err, GS_DENIED,
                           "the token holds a character that no HTTP header can carry; give the connection a new one");
    }
    memcpy(room, prefix, strlen(prefix));
    memcpy(room + strlen(prefix), token, strlen(token) + 1);
    x->header = name;
    x->authorization = room;
    return GS_OK;
}

/* Base64 of "user:password", RFC 7617: a user holds no colon. */
static enum gs_rc put_basic(struct fetch_secrets *x, char *room, size_t size, struct gs_err *err)
{
    static const char prefix[] = "Basic ";
    size_t user = strlen(x->user), len = user + 1 + strlen(x->password);
    char *plain = room + size - len - 1; /* the end of the room; the other end receives the value */

    if (strchr(x->user, ':'))
        return gs_fail(err, GS_DENIED, "the credential's user holds a colon; give the connection a new one");
    memcpy(plain, x->user, user);
    plain[user] = ':';
    memcpy(plain + user + 1, x->password, len - user - 1);
    memcpy(room, prefix, sizeof prefix);
    EVP_EncodeBlock((unsigned char *)room + strlen(prefix), (const unsigned char *)plain, (int)len);
    x->header = "Authorization";
    x->authorization = room;
    return GS_OK;
}

static enum gs_rc make(struct fetch_secrets *x, const struct members *m, char *room, size_t size, struct gs_err *err)
{
    const struct fetch_auth *a = x->auth;
    const char *const *names = fetch_secret_fields(a->kind);

    for (; *names; names++)
        if (!member(m, *names))
            return gs_fail(err, GS_DENIED, "the credential has no %s; give the connection a new one", *names);
    switch (a->kind) {
    case FETCH_BEARER:
        return put_header(x, "Authorization", "Bearer ", member(m, "token"), room, err);
    case FETCH_KEY:
        return put_header(x, a->header, a->prefix ? a->prefix : "", member(m, "token"), room, err);
    case FETCH_BASIC:
    case FETCH_USER_PASSWORD:
        x->user = member(m, "user");
        x->password = member(m, "password");
        return a->kind == FETCH_BASIC ? put_basic(x, room, size, err) : GS_OK;
    default:
        return gs_fail(err, GS_DENIED, "this way to sign in is not available");
    }
}

/* Room for what is made of the fields: base64 grows by a third, and its input lies there, too; before it a prefix. */
#define MADE_MAX(len) (3 * (len) + 64)

struct fetch_secrets *fetch_secrets_parse(const struct fetch_connector *c, const char *text, size_t len,
                                          struct gs_err *err)
{
    size_t size = sizeof(struct fetch_secrets) + len + 1 + MADE_MAX(len);
    GS_AUTO(secrets_freep) struct fetch_secrets *x = gs_alloc(size);
    struct scan s = {.at = text, .end = text + len, .out = x->text};
    struct members m = {0};
    const char *name;

    x->size = size;
    if (!read_members(&s, &m)) {
        gs_fail(err, GS_DENIED, "the credential is no JSON object of texts; give the connection a new one");
        return NULL;
    }
    name = member(&m, "auth");
    x->auth = fetch_auth_find(c, name ? name : "");
    if (!x->auth) {
        gs_fail(err, GS_DENIED,
                "the credential is of a way to sign in that %s does not have; give the connection a new one", c->label);
        return NULL;
    }
    return make(x, &m, s.out, (size_t)((char *)x + size - s.out), err) == GS_OK ? gs_take(&x) : NULL;
}

struct fetch_secrets *fetch_secrets_free(struct fetch_secrets *s)
{
    if (s)
        gs_free_secret(s, s->size);
    return NULL;
}
