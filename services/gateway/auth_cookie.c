/* What browsers carry: cookies, the Origin of their requests, and the place to return to. */
#include "common/str.h"
#include "services/gateway/auth_private.h"
#include "services/gateway/settings.h"

#include <string.h>
#include <strings.h>

static bool secure(void)
{
    return gs_str_starts(gw_settings.public_url, "https://");
}

const char *gw_session_cookie(void)
{
    return secure() ? "__Host-goalsync" : "goalsync";
}

const char *gw_sign_in_cookie(void)
{
    return secure() ? "__Host-goalsync-sign-in" : "goalsync-sign-in";
}

void gw_cookie_format(struct gs_buf *b, const char *name, const char *value, int64_t max_age_s)
{
    gs_buf_printf(b, "%s=%s; Path=/; Max-Age=%lld; HttpOnly; SameSite=Lax%s", name, value, (long long)max_age_s,
                  secure() ? "; Secure" : "");
}

const char *gw_cookie_at(const char *header, const char *name, size_t *ret_len)
{
    size_t name_len = strlen(name);

    while (*header) {
        size_t len;

        header += strspn(header, "; ");
        len = strcspn(header, ";");
        if (len > name_len && header[name_len] == '=' && memcmp(header, name, name_len) == 0) {
            *ret_len = len - name_len - 1;
            return header + name_len + 1;
        }
        header += len;
    }
    return NULL;
}

bool gw_cookie_find(const char *header, const char *name, char *dst, size_t size)
{
    size_t len;
    const char *value = gw_cookie_at(header, name, &len);

    if (!value || len >= size)
        return false;
    memcpy(dst, value, len);
    dst[len] = '\0';
    return true;
}

/* "//host" and "/\host" are addresses of other sites to browsers, and they leave tabs and line ends out before looking,
 * so that "/<tab>/host" is one as well. */
bool gw_return_to_valid(const char *s)
{
    if (s[0] != '/' || s[1] == '/' || strlen(s) > GW_RETURN_TO_MAX)
        return false;
    for (; *s; s++)
        if ((unsigned char)*s <= 0x20 || (unsigned char)*s >= 0x7f || *s == '\\')
            return false;
    return true;
}

/* Browsers leave Origin out of requests that change nothing; programs with a cookie in hand may do as they like. */
bool gw_auth_origin_allowed(const char *origin)
{
    size_t len = strlen(gw_settings.public_url);

    while (len > 0 && gw_settings.public_url[len - 1] == '/')
        len--;
    return !origin || (strlen(origin) == len && strncasecmp(origin, gw_settings.public_url, len) == 0);
}
