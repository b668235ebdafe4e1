/* Judges the URLs of webhooks. */
#include "services/gateway/webhook.h"

#include "common/auto.h"
#include "common/egress.h"
#include "common/str.h"

#include <curl/curl.h>
#include <string.h>

struct gw_webhook_rules gw_webhook_rules;
const struct gs_env gw_webhook_env[] = {
    {"GOALSYNC_NOTIFIER_ALLOW_PRIVATE", GS_ENV_BOOL, &gw_webhook_rules.allow_private, "no", 0, 0,
     "webhooks may lead to private addresses; the same as the notifier's"},
    {"GOALSYNC_NOTIFIER_ALLOW_PLAIN", GS_ENV_BOOL, &gw_webhook_rules.allow_plain, "no", 0, 0,
     "webhooks may be http://; the same as the notifier's"},
    GS_ENV_END,
};

GS_AUTO_DEFINE(CURLU, url_free, curl_url_cleanup)
GS_AUTO_DEFINE(char, part_free, curl_free)

static bool is_printable(const char *url)
{
    for (; *url; url++)
        if ((unsigned char)*url <= 0x20 || (unsigned char)*url >= 0x7f)
            return false;
    return true;
}

/* "https:///path", which libcurl would read as a host named path. */
static bool has_no_host(const char *url)
{
    const char *host = strstr(url, "://");

    return !host || host[3] == '/';
}

static bool has_part(CURLU *u, CURLUPart part)
{
    GS_AUTO(part_freep) char *text = NULL;

    return curl_url_get(u, part, &text, 0) == CURLUE_OK;
}

static enum gs_rc check_host(CURLU *u, const struct gw_webhook_rules *rules, struct gs_err *err)
{
    GS_AUTO(part_freep) char *host = NULL;

    if (curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK || !*host)
        return gs_fail(err, GS_REJECT, "names no host");
    if (gs_egress_host_refused(host, rules->allow_private))
        return gs_fail(err, GS_REJECT, "leads to an address that is not public");
    return GS_OK;
}

enum gs_rc gw_webhook_url_check(const char *url, const struct gw_webhook_rules *rules, struct gs_err *err)
{
    GS_AUTO(url_freep) CURLU *u = curl_url();
    GS_AUTO(part_freep) char *scheme = NULL;

    if (!is_printable(url) || has_no_host(url) || !u ||
        curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK)
        return gs_fail(err, GS_REJECT,
                       "is no URL of printable ASCII characters such as https://hooks.example.org/goals");
    if (!gs_str_eq(scheme, "https") && !(rules->allow_plain && gs_str_eq(scheme, "http")))
        return gs_fail(err, GS_REJECT, "does not begin with https://");
    if (has_part(u, CURLUPART_USER) || has_part(u, CURLUPART_PASSWORD))
        return gs_fail(err, GS_REJECT, "has a user name or password in it; the signature tells the receiver who sends");
    if (has_part(u, CURLUPART_FRAGMENT))
        return gs_fail(err, GS_REJECT, "has a part behind #, which is never sent");
    return check_host(u, rules, err);
}
