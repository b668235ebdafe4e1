/* Reads and keeps the operator's addresses of sources. */
#include "services/fetch/hosts.h"

#include <curl/curl.h>
#include <errno.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>

#include "common/auto.h"
#include "common/mem.h"
#include "common/str.h"
#include "services/fetch/systems.h"

#define JSON_DEPTH 4
#define SHOWN_MAX  80
#define URL_MAX    1000

struct replaced {
    const struct fetch_connector *connector;
    char *ca_file;               /* null: the usual one */
    char *urls[FETCH_HOSTS_MAX]; /* by the host's place in the connector; null: its own */
    struct replaced *next;
};

static struct replaced *all;
static char *setting;

const struct gs_env fetch_hosts_env[] = {
    {"GOALSYNC_HOSTS", GS_ENV_STRING, &setting, "", 0, 0,
     "addresses of sources that differ from the connectors' own, as JSON: {\"<connector>\":{\"<host>\":\"https://...\","
     "\"ca_file\":\"/...\"}}"},
    GS_ENV_END,
};

GS_AUTO_DEFINE(struct gs_json, json_free, gs_json_free)
GS_AUTO_DEFINE(CURLU, url_free, curl_url_cleanup)

void fetch_hosts_clear(void)
{
    while (all) {
        struct replaced *r = all;

        all = r->next;
        gs_freep(&r->ca_file);
        for (size_t i = 0; i < FETCH_HOSTS_MAX; i++)
            gs_freep(&r->urls[i]);
        gs_freep(&r);
    }
}

/* ---- reading ---- */

struct reading {
    struct gs_json *json;
    const struct fetch_entry *catalogue;
    bool allow_plain;
    struct gs_err *err;
};

/* Where in the setting, for messages: connector and member. */
struct spot {
    const char *connector, *member;
};

static enum gs_rc wrong(const struct reading *g, struct spot at, const char *value, const char *what)
{
    char shown[SHOWN_MAX];

    return gs_fail(g->err, GS_REJECT, "GOALSYNC_HOSTS: \"%s\" of \"%s\" is \"%s\", but it takes %s", at.member,
                   at.connector, gs_str_clean(shown, sizeof shown, value, strlen(value)), what);
}

static bool is_loopback(const char *host)
{
    return gs_str_eq(host, "localhost") || gs_str_starts(host, "127.") || gs_str_eq(host, "[::1]");
}

/* The part of an address, or "" when it has none; freed by curl_free(). */
static bool has_part(CURLU *url, CURLUPart part)
{
    char *text = NULL;
    bool has = curl_url_get(url, part, &text, 0) == CURLUE_OK;

    curl_free(text);
    return has;
}

static bool good_url(const struct reading *g, const char *text)
{
    GS_AUTO(url_freep) CURLU *url = curl_url();
    char *scheme = NULL, *host = NULL;
    bool good = false;

    for (const char *p = text; *p; p++)
        if ((unsigned char)*p <= 0x20 || (unsigned char)*p >= 0x7f || *p == '\\')
            return false;
    if (!url || strlen(text) > URL_MAX || curl_url_set(url, CURLUPART_URL, text, 0) != CURLUE_OK ||
        has_part(url, CURLUPART_USER) || has_part(url, CURLUPART_PASSWORD) || has_part(url, CURLUPART_QUERY) ||
        has_part(url, CURLUPART_FRAGMENT))
        return false;
    if (curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK)
        good = gs_str_eq(scheme, "https") || (g->allow_plain && gs_str_eq(scheme, "http") && is_loopback(host));
    curl_free(scheme);
    curl_free(host);
    return good;
}

static enum gs_rc take_url(const struct reading *g, struct spot at, const char *text, char **ret)
{
    size_t len = strlen(text);

    if (!good_url(g, text))
        return wrong(g, at, text,
                     g->allow_plain ? "an address like https://host, or like http://127.0.0.1:8080 on this machine"
                                    : "an address like https://host");
    while (len && text[len - 1] == '/')
        len--;
    *ret = gs_strndup(text, len);
    return GS_OK;
}

/* A file that is no CA would show itself only as "the certificate cannot be verified", once an hour. */
static enum gs_rc take_ca_file(const struct reading *g, struct spot at, const char *path, char **ret)
{
    FILE *file = fopen(path, "re");
    X509 *first;
    char what[160];

    if (!file) {
        snprintf(what, sizeof what, "a file that can be read (%s)", strerror(errno));
        return wrong(g, at, path, what);
    }
    first = PEM_read_X509(file, NULL, NULL, NULL);
    fclose(file);
    X509_free(first);
    if (!first)
        return wrong(g, at, path, "a file of certificates in PEM");
    *ret = gs_strdup(path);
    return GS_OK;
}

static enum gs_rc unknown_host(const struct reading *g, struct spot at, const struct fetch_connector *c)
{
    GS_AUTO(gs_buf_done) struct gs_buf known;
    char shown[SHOWN_MAX];

    gs_buf_init(&known, sizeof g->err->text);
    for (const struct fetch_host *h = c->hosts; h && h->name; h++)
        gs_buf_printf(&known, "%s, ", h->name);
    gs_buf_puts(&known, "ca_file");
    return gs_fail(g->err, GS_REJECT, "GOALSYNC_HOSTS: \"%s\" has no host \"%s\"; there are: %s", at.connector,
                   gs_str_clean(shown, sizeof shown, at.member, strlen(at.member)), gs_buf_str(&known));
}

static enum gs_rc take_member(const struct reading *g, struct spot at, uint32_t value, struct replaced *r)
{
    const struct fetch_host *h = r->connector->hosts;
    size_t i = 0, len;
    const char *text;

    while (h && h[i].name && !gs_str_eq(h[i].name, at.member))
        i++;
    bool is_host = h && h[i].name && i < FETCH_HOSTS_MAX;

    if (!is_host && !gs_str_eq(at.member, "ca_file"))
        return unknown_host(g, at, r->connector);
    if (gs_json_at_type(g->json, value) != GS_JSON_STRING)
        return gs_fail(g->err, GS_REJECT, "GOALSYNC_HOSTS: \"%s\" of \"%s\" is no text", at.member, at.connector);
    text = gs_json_at_text(g->json, value, &len);
    if (strlen(text) != len)
        return wrong(g, at, text, "no zero character");
    if (is_host)
        return r->urls[i] ? GS_OK : take_url(g, at, text, &r->urls[i]); /* of two, the first, as JSON is read here */
    return r->ca_file ? GS_OK : take_ca_file(g, at, text, &r->ca_file);
}

static enum gs_rc take_connector(const struct reading *g, const char *name, uint32_t object)
{
    char shown[SHOWN_MAX];
    const struct fetch_entry *e = g->catalogue;
    struct replaced *r;
    enum gs_rc rc = GS_OK;

    while (e->name && !gs_str_eq(e->name, name))
        e++;
    if (!e->name && fetch_systems_find(name))
        return GS_OK; /* of another program */
    gs_str_clean(shown, sizeof shown, name, strlen(name));
    if (!e->name)
        return gs_fail(g->err, GS_REJECT, "GOALSYNC_HOSTS: there is no connector \"%s\"", shown);
    if (gs_json_at_type(g->json, object) != GS_JSON_OBJECT)
        return gs_fail(g->err, GS_REJECT, "GOALSYNC_HOSTS: \"%s\" is no object of addresses", shown);
    r = gs_alloc(sizeof *r);
    r->connector = e->connector;
    r->next = all;
    all = r;
    for (uint32_t at = gs_json_first(g->json, object); at != GS_JSON_NONE && rc == GS_OK;
         at = gs_json_next(g->json, object, at)) {
        size_t len;

        rc = take_member(g, (struct spot){name, gs_json_key(g->json, at, &len)}, at, r);
    }
    return rc;
}

enum gs_rc fetch_hosts_parse(const struct fetch_entry *catalogue, const char *text, size_t len, bool allow_plain,
                             struct gs_err *err)
{
    GS_AUTO(json_freep) struct gs_json *json = gs_json_new(GS_ENV_MAX_VALUE, JSON_DEPTH);
    const struct reading g = {.json = json, .catalogue = catalogue, .allow_plain = allow_plain, .err = err};
    enum gs_rc rc = GS_OK;
    struct gs_err why;

    fetch_hosts_clear();
    if (gs_json_parse(json, text, len, &why) != GS_OK)
        return gs_fail(err, GS_REJECT, "GOALSYNC_HOSTS is no JSON: %.300s", why.text);
    uint32_t root = gs_json_root(json);

    if (gs_json_at_type(json, root) != GS_JSON_OBJECT)
        return gs_fail(err, GS_REJECT, "GOALSYNC_HOSTS is no JSON object of connectors");
    for (uint32_t at = gs_json_first(json, root); at != GS_JSON_NONE && rc == GS_OK;
         at = gs_json_next(json, root, at)) {
        size_t key_len;

        rc = take_connector(&g, gs_json_key(json, at, &key_len), at);
    }
    if (rc != GS_OK)
        fetch_hosts_clear();
    return rc;
}

enum gs_rc fetch_hosts_start(const struct fetch_entry *catalogue, bool allow_plain, struct gs_err *err)
{
    return *setting ? fetch_hosts_parse(catalogue, setting, strlen(setting), allow_plain, err) : GS_OK;
}

/* ---- looking up ---- */

static const struct replaced *find(const struct fetch_connector *c)
{
    const struct replaced *r = all;

    while (r && r->connector != c)
        r = r->next;
    return r;
}

const char *fetch_host_url(const struct fetch_connector *c, const char *name)
{
    const struct replaced *r = find(c);

    for (size_t i = 0; c->hosts && c->hosts[i].name; i++)
        if (!strcmp(c->hosts[i].name, name))
            return r && i < FETCH_HOSTS_MAX && r->urls[i] ? r->urls[i] : c->hosts[i].url;
    return NULL;
}

const char *fetch_host_ca_file(const struct fetch_connector *c)
{
    const struct replaced *r = find(c);

    return r ? r->ca_file : NULL;
}

/* ---- filling ---- */

static bool has_field(const struct fetch_connector *c, const char *name)
{
    for (const struct fetch_field *f = c->connection_fields; f && f->name; f++)
        if (!strcmp(f->name, name))
            return true;
    return false;
}

/* Within an address a setting may not end the part it stands in: "evil.example/" would take what follows elsewhere. */
static bool fits_inside(const char *s)
{
    for (const char *p = s; *p; p++)
        if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || strchr("-._~", *p)))
            return false;
    return *s && strcmp(s, ".") != 0 && strcmp(s, "..") != 0;
}

static enum gs_rc put_name(const struct fetch_connector *c, const struct fetch_settings *connection, const char *name,
                           struct gs_buf *ret, struct gs_err *err)
{
    const char *value = fetch_host_url(c, name);

    if (value) {
        gs_buf_puts(ret, value);
        return GS_OK;
    }
    value = connection && has_field(c, name) ? fetch_setting(connection, name) : "";
    if (!*value)
        return gs_fail(err, GS_REJECT, "the connection has no %s, which the address of its sign-in needs", name);
    if (ret->len && !fits_inside(value))
        return gs_fail(err, GS_REJECT, "the connection's %s cannot be a part of the address of its sign-in", name);
    gs_buf_puts(ret, value);
    while (ret->len && ret->data[ret->len - 1] == '/')
        ret->data[--ret->len] = '\0';
    return GS_OK;
}

enum gs_rc fetch_address(const struct fetch_connector *c, const struct fetch_settings *connection, const char *pattern,
                         struct gs_buf *ret, struct gs_err *err)
{
    enum gs_rc rc = GS_OK;
    char name[FETCH_NAME_MAX + 1];

    while (*pattern && rc == GS_OK) {
        size_t len = strcspn(pattern, "{");

        gs_buf_append(ret, pattern, len);
        pattern += len;
        if (!*pattern)
            break;
        len = strcspn(pattern, "}");
        if (!pattern[len] || len - 1 > FETCH_NAME_MAX)
            return gs_fail(err, GS_REJECT, "an address of the connector %s is malformed", c->label);
        memcpy(name, pattern + 1, len - 1);
        name[len - 1] = '\0';
        pattern += len + 1;
        rc = put_name(c, connection, name, ret, err);
    }
    if (rc == GS_OK && ret->overflow)
        return gs_fail(err, GS_REJECT, "the address of the connection's sign-in is too long");
    return rc;
}
