/* The header Accept. */
#include "services/gateway/accept.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

/* One range: "application/json;q=0.5", without the comma behind it. */
struct range {
    const char *text;
    size_t len;   /* of the media type */
    bool refused; /* q=0 */
};

static bool is_zero(const char *q, const char *end)
{
    q += *q == '0';
    if (q < end && *q == '.')
        q++;
    while (q < end && *q == '0')
        q++;
    return q == end || *q == ' ' || *q == '\t' || *q == ';';
}

static struct range read_range(const char *s, size_t len)
{
    const char *end = s + len, *at = memchr(s, ';', len);
    struct range r = {.text = s, .len = at ? (size_t)(at - s) : len};

    while (r.len > 0 && (s[r.len - 1] == ' ' || s[r.len - 1] == '\t'))
        r.len--;
    while (at) {
        for (at++; at < end && (*at == ' ' || *at == '\t'); at++)
            ;
        if (end - at > 2 && strncasecmp(at, "q=", 2) == 0)
            r.refused = is_zero(at + 2, end);
        at = memchr(at, ';', (size_t)(end - at));
    }
    return r;
}

/* How closely a range names a type: 0: not at all, 3: by its name. */
static int closeness(const struct range *r, const char *type)
{
    size_t main_len = strcspn(type, "/") + 1;

    if (r->len == strlen(type) && strncasecmp(r->text, type, r->len) == 0)
        return 3;
    if (r->len == main_len + 1 && r->text[main_len] == '*' && strncasecmp(r->text, type, main_len) == 0)
        return 2;
    return r->len == 3 && memcmp(r->text, "*/*", 3) == 0;
}

/* What names it most closely decides. */
static bool accepts_one(const char *accept, const char *type)
{
    int best = 0;
    bool ok = false;

    while (*accept) {
        size_t len;
        struct range r;
        int close;
        accept += strspn(accept, " \t,");
        len = strcspn(accept, ",");
        r = read_range(accept, len);
        close = closeness(&r, type);
        if (close > best) {
            best = close;
            ok = !r.refused;
        }
        accept += len;
    }
    return ok;
}

bool gw_accepts(const char *accept, const char *const *types)
{
    if (!strchr(accept, '/'))
        return true;
    for (; *types; types++)
        if (accepts_one(accept, *types))
            return true;
    return false;
}
