/* Redis addresses: redis://[user:password@]host:port[/db]. */
#include "common/mem.h"
#include "common/redis_internal.h"
#include "common/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Null when an escape is malformed or stands for a zero. */
static char *unescape(const char *s, size_t len)
{
    char *dst = gs_alloc(len + 1);
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        char c = s[i];

        if (c == '%') {
            int high = len - i > 2 ? hex(s[i + 1]) : -1, low = len - i > 2 ? hex(s[i + 2]) : -1;

            if (high < 0 || low < 0 || (high == 0 && low == 0)) {
                gs_free_secret(dst, len);
                return NULL;
            }
            c = (char)(high * 16 + low);
            i += 2;
        }
        dst[n++] = c;
    }
    return dst;
}

static bool parse_sign_in(const char *begin, const char *end, struct gs_redis_url *u)
{
    const char *colon = memchr(begin, ':', (size_t)(end - begin));

    if (!colon)
        return false;
    if (colon > begin) {
        u->user = unescape(begin, (size_t)(colon - begin));
        if (!u->user)
            return false;
    }
    u->password = unescape(colon + 1, (size_t)(end - colon - 1));
    return u->password != NULL;
}

/* "host:port", "[::1]:port"; the port may be left out. */
static bool parse_place(const char *begin, const char *end, struct gs_redis_url *u)
{
    const char *host_end, *port = NULL;
    int64_t number;

    if (begin < end && *begin == '[') {
        begin++;
        host_end = memchr(begin, ']', (size_t)(end - begin));
        if (!host_end || (host_end + 1 < end && host_end[1] != ':'))
            return false;
        port = host_end + 1 < end ? host_end + 2 : NULL;
    } else {
        host_end = begin < end ? memchr(begin, ':', (size_t)(end - begin)) : NULL;
        port = host_end ? host_end + 1 : NULL;
        host_end = host_end ? host_end : end;
    }
    if (host_end == begin)
        return false;
    u->host = gs_strndup(begin, (size_t)(host_end - begin));
    u->port = port ? gs_strndup(port, (size_t)(end - port)) : gs_strdup("6379");
    return gs_parse_int(u->port, 1, 65535, &number);
}

static bool parse(const char *text, struct gs_redis_url *u)
{
    const char *place, *end, *at;

    u->tls = gs_str_starts(text, "rediss://");
    if (!u->tls && !gs_str_starts(text, "redis://"))
        return false;
    place = strstr(text, "://") + 3;
    end = place + strcspn(place, "/?#");
    at = memrchr(place, '@', (size_t)(end - place));
    if (at && !parse_sign_in(place, at, u))
        return false;
    if (!parse_place(at ? at + 1 : place, end, u))
        return false;
    return *end == '\0' || (*end == '/' && (end[1] == '\0' || gs_parse_int(end + 1, 0, 1000000, &u->db)));
}

enum gs_rc gs_redis_url_parse(const char *text, struct gs_redis_url *ret, struct gs_err *err)
{
    struct gs_redis_url u = {0};
    char label[200];

    if (!text || !parse(text, &u)) {
        gs_redis_url_done(&u);
        return gs_fail(err, GS_REJECT,
                       "the address of Redis (GOALSYNC_REDIS_URL) is not redis://[user:password@]host:port[/db], or "
                       "rediss:// for TLS");
    }
    snprintf(label, sizeof(label), "Redis at %.150s:%s", u.host, u.port);
    u.label = gs_strdup(label);
    *ret = u;
    return GS_OK;
}

void gs_redis_url_done(struct gs_redis_url *u)
{
    free(u->user);
    gs_free_secret(u->password, u->password ? strlen(u->password) : 0);
    free(u->host);
    free(u->port);
    free(u->label);
    *u = (struct gs_redis_url){0};
}
