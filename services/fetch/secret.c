/* Reads the secret fields of a connection. By hand, because a general parser would leave copies in memory that nobody
 * wipes. */
#include "services/fetch/secret.h"

#include <string.h>

#include "common/auto.h"
#include "common/mem.h"

#define BEARER "Bearer "

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

static bool read_members(struct scan *s, struct fetch_secrets *x, const char **ret_token)
{
    if (!skip_to(s, '{'))
        return false;
    if (skip_to(s, '}'))
        return true;
    do {
        const char *key = read_string(s), *value;

        if (!key || !skip_to(s, ':'))
            return false;
        value = read_string(s);
        if (!value)
            return false;
        if (!strcmp(key, "token"))
            *ret_token = value;
        else if (!strcmp(key, "user"))
            x->user = value;
        else if (!strcmp(key, "password"))
            x->password = value;
    } while (skip_to(s, ','));
    return skip_to(s, '}');
}

static enum gs_rc put_bearer(struct fetch_secrets *x, const char *token, char *room, struct gs_err *err)
{
    if (!token || !*token)
        return gs_fail(err, GS_DENIED, "the credential has no token; give the connection a new one");
    for (const char *p = token; *p; p++) {
        if (*p <= 0x20 || *p >= 0x7f)
            return gs_fail(err, GS_DENIED,
                           "the token holds a character that no HTTP header can carry; give the connection a new one");
    }
    memcpy(room, BEARER, strlen(BEARER));
    memcpy(room + strlen(BEARER), token, strlen(token) + 1);
    x->authorization = room;
    return GS_OK;
}

struct fetch_secrets *fetch_secrets_parse(enum fetch_secret kind, const char *text, size_t len, struct gs_err *err)
{
    size_t size = sizeof(struct fetch_secrets) + 2 * len + sizeof BEARER;
    GS_AUTO(secrets_freep) struct fetch_secrets *x = gs_alloc(size);
    struct scan s = {.at = text, .end = text + len, .out = x->text};
    const char *token = NULL;

    x->size = size;
    if (!read_members(&s, x, &token)) {
        gs_fail(err, GS_DENIED, "the credential is no JSON object of texts; give the connection a new one");
        return NULL;
    }
    if (kind == FETCH_BEARER && put_bearer(x, token, s.out, err) != GS_OK)
        return NULL;
    if (kind == FETCH_USER_PASSWORD && (!x->user || !x->password)) {
        gs_fail(err, GS_DENIED, "the credential has no user or no password; give the connection a new one");
        return NULL;
    }
    return gs_take(&x);
}

struct fetch_secrets *fetch_secrets_free(struct fetch_secrets *s)
{
    if (s)
        gs_free_secret(s, s->size);
    return NULL;
}
