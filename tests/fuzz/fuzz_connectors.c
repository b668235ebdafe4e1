// links: fetch_catalogue_all
/* Every connector against answers from anywhere. The input is a connector, a status, and an answer: it may be refused
 * in any way, but a value that comes out fits our numbers, a refusal has a reason, and a task ends. */
#include "common/buf.h"
#include "common/mem.h"
#include "services/fetch/catalogue.h"
#include "services/fetch/task.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define EXCHANGES_MAX 16
#define NOW_US        INT64_C(1795449600000000)

#define MUST(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            abort();                                                                                                   \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is left of the input. */
struct input {
    const char *at;
    size_t len;
};

static unsigned take_byte(struct input *in)
{
    if (in->len == 0)
        return 0;
    in->len--;
    return (unsigned char)*in->at++;
}

/* Up to the next zero byte or the end; owned. */
static char *take_text(struct input *in)
{
    const char *end = in->len ? memchr(in->at, '\0', in->len) : NULL;
    size_t n = end ? (size_t)(end - in->at) : in->len;
    char *text = gs_strndup(n ? in->at : "", n);

    n += end != NULL;
    in->at += n;
    in->len -= n;
    return text;
}

/* ---- settings that every connector of the tree accepts, from its own fields ---- */

static const char *plausible(const struct fetch_field *f)
{
    if (strcmp(f->name, "repository") == 0)
        return "acme/app";
    return f->type == FETCH_HOST ? "db.example.com" : f->type == FETCH_URL ? "https://example.com" : "SELECT 1";
}

/* which: some of the optional choices. */
static struct fetch_settings *make_settings(const struct fetch_field *fields, unsigned which)
{
    struct fetch_settings *s;
    struct gs_buf json;
    bool first = true;

    gs_buf_init(&json, FETCH_SETTINGS_MAX);
    gs_buf_putc(&json, '{');
    for (const struct fetch_field *f = fields; f->name; f++) {
        const char *value = NULL;

        if (f->required && !f->def)
            value = plausible(f);
        else if (f->type == FETCH_CHOICE && (which >>= 1) & 1)
            value = strrchr(f->choices, ',') + 1;
        else if (strcmp(f->name, "milestone") == 0 && (which >>= 1) & 1)
            value = which & 2 ? "7" : "v1";
        if (!value)
            continue;
        gs_buf_printf(&json, "%s\"%s\":", first ? "" : ",", f->name);
        gs_buf_put_json(&json, value, strlen(value));
        first = false;
    }
    gs_buf_putc(&json, '}');
    s = fetch_settings_parse(fields, gs_buf_str(&json), json.len, NULL);
    gs_buf_done(&json);
    return s;
}

/* ---- answers ---- */

static const char *one_header(const struct fetch_reply *r, const char *name)
{
    const char *const *header = r->data;

    return strcasecmp(name, header[0]) == 0 ? header[1] : NULL;
}

static bool answer_http(struct fetch_task *t, struct input *in)
{
    static const long statuses[] = {200, 200, 200, 204, 301, 401, 403, 404, 422, 429, 500, 503};
    static const char *const names[] = {"retry-after", "x-ratelimit-reset", "x-ratelimit-remaining", "x-github-sso"};
    long status = statuses[take_byte(in) % (sizeof(statuses) / sizeof(statuses[0]))];
    const char *name = names[take_byte(in) % 4];
    char *value = take_text(in), *body = take_text(in);
    const char *header[] = {name, value};
    struct fetch_reply r = {.status = status, .body = body, .len = strlen(body), .header = one_header, .data = header};
    bool more = fetch_task_reply(t, &r);

    free(value);
    free(body);
    return more;
}

static bool answer_sql(struct fetch_task *t, struct input *in)
{
    static const char *const names[] = {"int8", "numeric", "float8", "text", "oid 4711"};
    unsigned shape = take_byte(in);
    const char *types[3];
    char *owned[6] = {NULL};
    struct fetch_reply r = {.rows = (int)(shape % 3), .cols = (int)(shape / 3 % 4), .types = types};
    bool more;

    for (int i = 0; i < r.cols; i++)
        types[i] = names[take_byte(in) % 5];
    for (int i = 0; i < r.rows * r.cols; i++)
        owned[i] = take_byte(in) % 16 ? take_text(in) : NULL;
    r.values = (const char *const *)owned;
    more = fetch_task_reply(t, &r);
    for (int i = 0; i < 6; i++)
        free(owned[i]);
    return more;
}

static void check_end(const struct fetch_task *t)
{
    static const struct gs_dec limit = {(gs_i128)10000000000 * 10000000000 * 1000000000 * 1000000000};
    struct fetch_result result;
    struct gs_dec least = {-limit.u};

    MUST(fetch_task_outcome(t) != FETCH_OUTCOME_NONE);
    if (fetch_task_outcome(t) != FETCH_OUTCOME_OK) {
        MUST(fetch_task_error(t)[0] != '\0');
        return;
    }
    fetch_task_result(t, 0, &result);
    if (result.outcome == FETCH_OUTCOME_OK)
        MUST(gs_dec_cmp(result.value, limit) < 0 && gs_dec_cmp(result.value, least) > 0);
    else
        MUST(result.error[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {(const char *)data, size};
    const struct fetch_entry *entries = fetch_catalogue();
    size_t n = 0;

    while (entries[n].name)
        n++;
    const struct fetch_connector *connector = entries[take_byte(&in) % n].connector;
    struct fetch_settings *connection = make_settings(connector->connection_fields, 0);
    struct fetch_settings *link = make_settings(connector->link_fields, take_byte(&in));
    MUST(connection && link);

    const struct fetch_task_spec spec = {.connector = connector,
                                         .connection = connection,
                                         .targets = (const struct fetch_settings *const *)&link,
                                         .n_targets = 1,
                                         .now_us = NOW_US};
    struct fetch_task *t = fetch_task_new(&spec);
    bool more = fetch_task_start(t);
    for (int i = 0; more; i++) {
        MUST(i < EXCHANGES_MAX);
        more = connector->wire == FETCH_HTTP ? answer_http(t, &in) : answer_sql(t, &in);
    }
    check_end(t);
    fetch_task_free(t);
    fetch_settings_free(connection);
    fetch_settings_free(link);
    return 0;
}
