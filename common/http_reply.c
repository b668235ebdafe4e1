/* HTTP replies: what an exchange came to, in a sentence, and looking headers up. */
#include "common/http_internal.h"
#include "common/str.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* The block is a row of C strings, one a line. */
const char *gs_http_reply_header(const struct gs_http_reply *r, const char *name)
{
    size_t name_len = strlen(name);
    const char *found = NULL, *line, *end;

    if (!r->call || r->call->head.len == 0)
        return NULL;
    line = r->call->head.data;
    end = line + r->call->head.len;
    for (; line < end; line += strlen(line) + 1)
        if (strncasecmp(line, name, name_len) == 0 && line[name_len] == ':')
            found = line + name_len + 1;
    return found ? found + strspn(found, " \t") : NULL;
}

static void host_of(const struct gs_http_call *c, char *dst, size_t size)
{
    char *url = NULL;
    const char *host;
    size_t len;

    curl_easy_getinfo(c->easy, CURLINFO_EFFECTIVE_URL, &url);
    host = url ? strstr(url, "://") : NULL;
    host = host ? host + 3 : "";
    len = strcspn(host, "/?#");
    gs_str_clean(dst, size, host, len);
}

/* libcurl's own words; they name hosts and reasons, never a path, a query or a header. */
static const char *details(const struct gs_http_call *c, CURLcode code)
{
    return c->error[0] ? c->error : curl_easy_strerror(code);
}

static const char *timed_out_while(const struct gs_http_call *c)
{
    curl_off_t connected = 0, first_byte = 0;

    curl_easy_getinfo(c->easy, CURLINFO_PRETRANSFER_TIME_T, &connected);
    curl_easy_getinfo(c->easy, CURLINFO_STARTTRANSFER_TIME_T, &first_byte);
    if (c->head.len > 0 || first_byte > 0)
        return "reading its answer";
    return connected > 0 ? "waiting for its answer" : "connecting to it";
}

static void describe_timeout(const struct gs_http_call *c, const char *host, char *dst, size_t size)
{
    snprintf(dst, size, "%s did not answer in time: given up while %s", host, timed_out_while(c));
}

static enum gs_rc judge_size(const struct gs_http_call *c, const char *host, char *dst, size_t size)
{
    if (c->head.overflow)
        snprintf(dst, size, "%s sent headers of more than %d bytes", host, GS_HTTP_HEAD_MAX);
    else
        snprintf(dst, size, "%s sent more than %zu bytes, which is the most that is read", host, c->body.ceiling);
    return GS_REJECT;
}

/* What went wrong, for each code that has words of its own; "%s" is the host, then libcurl's details. */
static const struct {
    CURLcode code;
    enum gs_rc rc;
    const char *format;
} verdicts[] = {
    {CURLE_COULDNT_RESOLVE_HOST, GS_RETRY, "the name of %s was not found (DNS): %s"},
    {CURLE_COULDNT_CONNECT, GS_RETRY, "no connection to %s: %s"},
    {CURLE_PEER_FAILED_VERIFICATION, GS_RETRY, "the certificate of %s is not accepted: %s"},
    {CURLE_SSL_CACERT_BADFILE, GS_RETRY, "the CA file for %s cannot be read: %s"},
    {CURLE_SSL_CONNECT_ERROR, GS_RETRY, "no TLS with %s: %s"},
    {CURLE_SSL_CERTPROBLEM, GS_RETRY, "no TLS with %s: %s"},
    {CURLE_SSL_CIPHER, GS_RETRY, "no TLS with %s: %s"},
    {CURLE_PARTIAL_FILE, GS_RETRY, "the answer of %s was cut off: %s"},
    {CURLE_GOT_NOTHING, GS_RETRY, "the answer of %s was cut off: %s"},
    {CURLE_RECV_ERROR, GS_RETRY, "the answer of %s was cut off: %s"},
    {CURLE_SEND_ERROR, GS_RETRY, "the request to %s was cut off: %s"},
    {CURLE_HTTP2, GS_RETRY, "the answer of %s was cut off: %s"},
    {CURLE_HTTP2_STREAM, GS_RETRY, "the answer of %s was cut off: %s"},
    {CURLE_BAD_CONTENT_ENCODING, GS_RETRY, "the answer of %s does not decompress: %s"},
    {CURLE_WEIRD_SERVER_REPLY, GS_RETRY, "the answer of %s is not HTTP: %s"},
    /* The scheme was checked before; what is left is an answer without a status line. */
    {CURLE_UNSUPPORTED_PROTOCOL, GS_RETRY, "the answer of %s is not HTTP: %s"},
    {CURLE_URL_MALFORMAT, GS_REJECT, "the address at %s is malformed: %s"},
    {CURLE_LOGIN_DENIED, GS_REJECT, "the address has a user name in it%.0s%.0s"},
};

static enum gs_rc judge_known(const struct gs_http_call *c, CURLcode code, const char *host, char *dst, size_t size);

enum gs_rc gs_http_judge(const struct gs_http_call *c, CURLcode code, char *dst, size_t size)
{
    char host[128];

    dst[0] = '\0';
    if (code == CURLE_OK)
        return GS_OK;
    if (c->cut_body && c->body.overflow && code == CURLE_WRITE_ERROR)
        return GS_OK; /* on_body() ended it */
    host_of(c, host, sizeof(host));
    if (c->head.overflow || c->body.overflow)
        return judge_size(c, host, dst, size);
    if (code == CURLE_COULDNT_CONNECT && c->address_refused) {
        snprintf(dst, size, "%s has no address that may be asked; the operator allows private ones by a setting", host);
        return GS_REJECT;
    }
    if (code == CURLE_OPERATION_TIMEDOUT) {
        describe_timeout(c, host, dst, size);
        return GS_RETRY;
    }
    return judge_known(c, code, host, dst, size);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static enum gs_rc judge_known(const struct gs_http_call *c, CURLcode code, const char *host, char *dst, size_t size)
{
    char clean[CURL_ERROR_SIZE];
    const char *words = details(c, code);

    gs_str_clean(clean, sizeof(clean), words, strlen(words));
    for (size_t i = 0; i < sizeof(verdicts) / sizeof(verdicts[0]); i++) {
        if (verdicts[i].code == code) {
            snprintf(dst, size, verdicts[i].format, host, clean);
            return verdicts[i].rc;
        }
    }
    snprintf(dst, size, "no answer from %s: %s", host, clean);
    return GS_RETRY;
}
#pragma GCC diagnostic pop
