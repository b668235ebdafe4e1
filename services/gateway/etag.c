/* Lists of entity tags. */
#include "services/gateway/etag.h"

#include <stddef.h>
#include <string.h>

static const char *skip(const char *s)
{
    return s + strspn(s, " \t");
}

/* One tag at s, quotes included; its length, or 0 when there is none. */
static size_t tag_length(const char *s)
{
    size_t n = 1;

    if (*s != '"')
        return 0;
    while (s[n] == 0x21 || (unsigned char)s[n] >= 0x80 || (s[n] >= 0x23 && s[n] <= 0x7e))
        n++;
    return s[n] == '"' ? n + 1 : 0;
}

/* The whole list is read even after a hit: half a list is no list. */
bool gw_etag_listed(const char *list, const char *tag, bool weak)
{
    const char *s = skip(list);
    bool found = false;

    if (*s == '*')
        return !*skip(s + 1);
    for (;;) {
        bool is_weak = s[0] == 'W' && s[1] == '/';
        size_t len = tag_length(s += is_weak ? 2 : 0);
        if (len == 0)
            return false;
        found |= (weak || !is_weak) && len == strlen(tag) && memcmp(s, tag, len) == 0;
        s = skip(s + len);
        if (!*s)
            return found;
        if (*s++ != ',')
            return false;
        s = skip(s);
    }
}
