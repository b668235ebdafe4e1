/* The list of hosts that may be asked. */
#include "services/fetch/reach.h"

#include <string.h>
#include <strings.h>

#include "common/mem.h"
#include "services/fetch/hosts.h"

#define HOST_MAX 255

static struct {
    char *hosts[FETCH_REACH_MAX];
    size_t n;
    bool limited;
} reach;

void fetch_reach_clear(void)
{
    for (size_t i = 0; i < reach.n; i++)
        gs_freep(&reach.hosts[i]);
    reach.n = 0;
    reach.limited = false;
}

/* The host within an address: neither scheme nor port; "[::1]" keeps its brackets. */
static const char *host_in(const char *address, size_t *ret_len)
{
    const char *host = strstr(address, "://");

    host = host ? host + 3 : address;
    *ret_len = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/?#");
    if (*ret_len > strlen(host))
        *ret_len = strlen(host);
    return host;
}

static enum gs_rc add(const char *host, size_t len, struct gs_err *err)
{
    if (reach.n == FETCH_REACH_MAX)
        return gs_fail(err, GS_REJECT, "GOALSYNC_FETCH_HOSTS_ALLOWED: more than %d hosts", FETCH_REACH_MAX);
    reach.hosts[reach.n++] = gs_strndup(host, len);
    return GS_OK;
}

/* A star stands at the start alone: "*.example.org", and not for all there is. */
static enum gs_rc check(const char *host, size_t len, struct gs_err *err)
{
    const char *star = memchr(host, '*', len);
    size_t plain = strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.*[]:");

    if (len > HOST_MAX || plain < len || (star && (star != host || len < 5 || host[1] != '.')) ||
        (star && memchr(host + 1, '*', len - 1)))
        return gs_fail(err, GS_REJECT,
                       "GOALSYNC_FETCH_HOSTS_ALLOWED: \"%.*s\" is no host; give names like api.example.org or "
                       "*.example.org, with commas between and without https://",
                       len < 64 ? (int)len : 64, host);
    return GS_OK;
}

static enum gs_rc add_list(const char *list, struct gs_err *err)
{
    for (const char *p = list + strspn(list, ", "); *p; p += strspn(p, ", ")) {
        size_t len = strcspn(p, ", ");

        if (check(p, len, err) != GS_OK || add(p, len, err) != GS_OK)
            return GS_REJECT;
        p += len;
    }
    return GS_OK;
}

static enum gs_rc add_own(enum gs_category category, const struct fetch_entry *catalogue, struct gs_err *err)
{
    for (const struct fetch_entry *e = catalogue; e->name; e++) {
        for (const struct fetch_host *h = e->connector->hosts; e->category == category && h && h->name; h++) {
            size_t len;
            const char *host = host_in(fetch_host_url(e->connector, h->name), &len);

            if (add(host, len, err) != GS_OK)
                return GS_REJECT;
        }
    }
    return GS_OK;
}

enum gs_rc fetch_reach_start(enum gs_category category, const struct fetch_entry *catalogue, const char *list,
                             struct gs_err *err)
{
    fetch_reach_clear();
    reach.limited = category == GS_IN_BOUNDARY || list[strspn(list, ", ")];
    if (!reach.limited)
        return GS_OK;
    if (add_list(list, err) != GS_OK)
        return GS_REJECT;
    return add_own(category, catalogue, err);
}

/* A dot at the end names the same host. */
static bool is_like(const char *pattern, const char *host, size_t len)
{
    size_t n = strlen(pattern);

    if (len && host[len - 1] == '.')
        len--;
    if (*pattern != '*')
        return n == len && !strncasecmp(pattern, host, len);
    return len > n - 1 && !strncasecmp(pattern + 1, host + len - (n - 1), n - 1);
}

bool fetch_reach_allowed(const char *address)
{
    size_t len;
    const char *host = host_in(address, &len);

    if (!reach.limited)
        return true;
    for (size_t i = 0; i < reach.n; i++) {
        if (is_like(reach.hosts[i], host, len))
            return true;
    }
    return false;
}
