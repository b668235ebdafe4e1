/* HTTP to the sign-in service. It is named by the operator's settings, so its address may be a private one; that of a
 * machine's own metadata may not, and http:// reaches this very machine only. */
#include "common/auto.h"
#include "common/egress.h"
#include "common/mem.h"
#include "common/str.h"
#include "services/gateway/auth_private.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static atomic_bool stopping;

GS_AUTO_DEFINE(CURL, easy_free, curl_easy_cleanup)
GS_AUTO_DEFINE(struct curl_slist, slist_free, curl_slist_free_all)

static bool is_loopback(const struct sockaddr *a)
{
    if (a->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)(const void *)a)->sin_addr.s_addr) >> 24 == 127;
    return a->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr);
}

bool gw_fetch_address_allowed(bool plain, const struct sockaddr *a)
{
    bool allow_private = true;

    return gs_egress_allowed(&allow_private, a) && (!plain || is_loopback(a));
}

static curl_socket_t open_socket(void *plain, curlsocktype purpose, struct curl_sockaddr *a)
{
    (void)purpose;
    if (!gw_fetch_address_allowed(*(const bool *)plain, &a->addr))
        return CURL_SOCKET_BAD;
    return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
    struct gs_buf *b = arg;

    gs_buf_append(b, data, size * n);
    return b->overflow ? 0 : size * n;
}

static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    (void)arg, (void)a, (void)b, (void)c, (void)d;
    return atomic_load(&stopping);
}

void gw_fetch_stop(void)
{
    atomic_store(&stopping, true);
}

static bool is_plain(const char *url)
{
    return gs_str_starts(url, "http://");
}

enum gs_rc gw_fetch_check_url(const char *what, const char *url, struct gs_err *err)
{
    if (strlen(url) >= GW_ISSUER_URL_MAX)
        return gs_fail(err, GS_REJECT, "%s is longer than %d bytes", what, GW_ISSUER_URL_MAX - 1);
    for (const char *p = url; *p; p++)
        if ((unsigned char)*p <= 0x20 || *p == 0x7f || *p == '#')
            return gs_fail(err, GS_REJECT, "%s has a space, '#' or control character in it", what);
    if (gs_str_starts(url, "https://") && url[8])
        return GS_OK;
    if (is_plain(url) && gw_auth_settings.allow_plain)
        return GS_OK;
    return gs_fail(err, GS_REJECT, "%s does not begin with https://", what);
}

#define SET(option, value) (void)curl_easy_setopt(easy, CURLOPT_##option, value)

static void bound(CURL *easy, bool *plain, struct gs_buf *body)
{
    SET(NOSIGNAL, 1L);
    SET(PROTOCOLS_STR, *plain ? "http" : "https");
    SET(PROXY, "");
    SET(FOLLOWLOCATION, 0L);
    SET(SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CAPATH, NULL);
    SET(CAINFO, gw_auth_settings.ca_file);
    SET(CONNECTTIMEOUT_MS, (long)GW_ISSUER_CONNECT_MS);
    SET(TIMEOUT_MS, (long)GW_ISSUER_TIMEOUT_MS);
    SET(ACCEPT_ENCODING, "gzip, deflate");
    SET(USERAGENT, "goalsync/" GOALSYNC_VERSION);
    SET(OPENSOCKETFUNCTION, open_socket);
    SET(OPENSOCKETDATA, plain);
    SET(WRITEFUNCTION, on_body);
    SET(WRITEDATA, body);
    SET(NOPROGRESS, 0L);
    SET(XFERINFOFUNCTION, on_progress);
}

/* A header's value must not end its line early. */
static bool is_visible(const char *s)
{
    for (; *s; s++)
        if (*s <= 0x20 || *s == 0x7f)
            return false;
    return true;
}

static enum gs_rc fill(CURL *easy, const struct gw_fetch *f, struct curl_slist **headers, struct gs_err *err)
{
    SET(URL, f->url);
    *headers = curl_slist_append(NULL, "Accept: application/json");
    if (f->form) {
        SET(POSTFIELDSIZE_LARGE, (curl_off_t)strlen(f->form));
        SET(POSTFIELDS, f->form);
    }
    if (f->user) {
        SET(HTTPAUTH, CURLAUTH_BASIC);
        SET(USERNAME, f->user);
        SET(PASSWORD, f->password);
    }
    if (f->bearer) {
        struct gs_buf line;

        if (!is_visible(f->bearer))
            return gs_fail(err, GS_REJECT, "the issuer's access token holds characters that no token has");
        gs_buf_init(&line, GW_ISSUER_ANSWER_MAX + 32);
        gs_buf_printf(&line, "Authorization: Bearer %s", f->bearer);
        *headers = curl_slist_append(*headers, gs_buf_str(&line));
        gs_wipe(line.data, line.len);
        gs_buf_done(&line);
    }
    SET(HTTPHEADER, *headers);
    return GS_OK;
}

static enum gs_rc judge(CURLcode code, const struct gs_buf *body, struct gs_err *err)
{
    if (code == CURLE_OK)
        return GS_OK;
    if (body->overflow)
        return gs_fail(err, GS_REJECT, "the issuer's answer has more than %d bytes", GW_ISSUER_ANSWER_MAX);
    return gs_fail(err, GS_RETRY, "the issuer cannot be reached: %s", curl_easy_strerror(code));
}

enum gs_rc gw_fetch(const struct gw_fetch *f, struct gs_buf *ret_body, long *ret_status, struct gs_err *err)
{
    GS_AUTO(easy_freep) CURL *easy = curl_easy_init();
    GS_AUTO(slist_freep) struct curl_slist *headers = NULL;
    bool plain = is_plain(f->url);
    enum gs_rc rc = gw_fetch_check_url("the issuer's address", f->url, err);

    if (rc != GS_OK)
        return rc;
    if (!easy || atomic_load(&stopping))
        return gs_fail(err, GS_RETRY, "the gateway is stopping");
    gs_buf_clear(ret_body);
    bound(easy, &plain, ret_body);
    rc = fill(easy, f, &headers, err);
    if (rc != GS_OK)
        return rc;
    rc = judge(curl_easy_perform(easy), ret_body, err);
    if (rc == GS_OK)
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, ret_status);
    return rc;
}
