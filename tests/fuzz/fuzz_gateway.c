/* What callers send to the gateway: paths, queries, lists of entity tags, Accept, cursors, parameters and bodies. The
 * first byte says which. links: goalsync_gateway */
#include "common/json.h"
#include "common/str.h"
#include "services/gateway/accept.h"
#include "services/gateway/cursor.h"
#include "services/gateway/document.h"
#include "services/gateway/etag.h"
#include "services/gateway/ops.h"

#include <stdlib.h>
#include <string.h>

#define MUST(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            abort();                                                                                                   \
    } while (0)
#define INPUT_MAX 8192

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct gw_document *document;

static void start(void)
{
    struct gs_err err;

    document = gw_document_new(gw_document_text, gw_document_len, gw_ops, &err);
    MUST(document);
    gw_cursor_init("a secret of at least thirty-two characters");
}

static void decode(const char *text, size_t len)
{
    char dst[INPUT_MAX + 1];
    size_t n;

    if (gw_percent_decode(text, len, true, dst, &n)) {
        MUST(n <= len && strlen(dst) == n); /* no zero gets through */
        for (size_t i = 0; i < n; i += gs_utf8_char(dst + i, n - i))
            MUST(gs_utf8_char(dst + i, n - i) > 0 && (unsigned char)dst[i] >= 0x20);
    }
}

static void route(const char *text, size_t len)
{
    char buf[INPUT_MAX + GW_SEGMENTS_MAX + 1];
    struct gw_match m;

    if (gw_document_route(document, "GET", text, len, buf, &m) == GW_FOUND)
        for (int i = 0; i < m.op->n_params && m.op->params[i].in == GW_IN_PATH; i++)
            MUST(m.values[i] && *m.values[i] && !strchr(m.values[i], '/'));
}

static void fault(void *arg, const char *pointer, const char *detail)
{
    int *n = arg;

    MUST(strlen(pointer) < 600 && *detail);
    ++*n;
}

static void params(const char *text)
{
    for (struct gw_operation *op = gw_document_operations(document); op; op = op->next) {
        for (int i = 0; i < op->n_params; i++) {
            int n = 0;
            bool ok = gw_schema_check_text(op->params[i].schema, text, fault, &n);
            MUST(ok == (n == 0));
        }
    }
}

static void bodies(const char *text, size_t len)
{
    struct gs_json *j = gs_json_new(INPUT_MAX, GW_DEPTH_MAX);
    struct gs_err err;
    int n = 0;

    if (gs_json_parse(j, text, len, &err) == GS_OK && gw_schema_clean(j, fault, &n)) {
        for (struct gw_operation *op = gw_document_operations(document); op; op = op->next) {
            if (op->body_schema) {
                n = 0;
                MUST(gw_schema_check(op->body_schema, j, fault, &n) == (n == 0));
            }
        }
    }
    gs_json_free(j);
}

static void cursor(const char *text)
{
    struct gs_buf opened;

    gs_buf_init(&opened, INPUT_MAX);
    MUST(!gw_cursor_open(text, "goal_list", &opened)); /* nobody guesses one */
    gs_buf_done(&opened);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const types[] = {"application/json", "text/csv", NULL};
    char text[INPUT_MAX];

    if (!document)
        start();
    if (size == 0 || size > sizeof(text))
        return 0;
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    size--;
    switch (data[0]) {
    case 'd':
        decode(text, size);
        break;
    case 'r':
        route(text, size);
        break;
    case 'e':
        (void)gw_etag_listed(text, "\"1\"", size & 1);
        break;
    case 'a':
        (void)gw_accepts(text, types);
        break;
    case 'c':
        cursor(text);
        break;
    case 'p':
        params(text);
        break;
    default:
        bodies(text, size);
    }
    return 0;
}
