/* What a fetch worker reads from outside: requests, forms, secrets, refusals by web servers.
 * links: fetch_worker fetch_core goalsync_proto */
#include <stdlib.h>
#include <string.h>

#include "common/str.h"
#include "services/fetch/catalogue.h"
#include "services/fetch/http_rc.h"
#include "services/fetch/secret.h"
#include "services/fetch/wire.h"

#define NOW_US INT64_C(1763913600000000)
#define MUST(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            abort();                                                                                                   \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct fetch_field fields[] = {{.name = "a", .label = "A", .type = FETCH_TEXT},
                                            {.name = "u", .label = "U", .type = FETCH_URL},
                                            {.name = "h", .label = "H", .type = FETCH_HOST},
                                            {.name = "n", .label = "N", .type = FETCH_INTEGER, .min = 1, .max = 9},
                                            {.name = "c", .label = "C", .type = FETCH_CHOICE, .choices = "x,y"},
                                            {0}};

/* What was understood can be answered, and the answer be packed. */
static void request(const uint8_t *data, size_t size)
{
    struct gs_arena arena;
    struct fetch_order order;
    struct gs_err err;
    size_t len;

    gs_arena_init(&arena, NULL, 0);
    if (fetch_wire_decode(&arena, data, size, &order, &err) == GS_OK) {
        struct fetch_answer answer = {.order = &order, .outcome = FETCH_OUTCOME_RETRY, .error = "x"};

        MUST(order.n_targets >= 1 && order.n_targets <= FETCH_TARGETS_MAX);
        MUST(fetch_wire_encode(&arena, &answer, &len) && len);
    } else {
        MUST(err.text[0]);
    }
    gs_arena_done(&arena);
}

/* Printing is canonical: what is printed reads back to the same text. */
static void form(const char *text, size_t size)
{
    struct fetch_settings *s = fetch_settings_parse(fields, text, size, NULL), *again;
    struct gs_buf first, second;

    if (!s)
        return;
    gs_buf_init(&first, 8 * FETCH_SETTINGS_MAX);
    gs_buf_init(&second, 8 * FETCH_SETTINGS_MAX);
    fetch_settings_print(s, &first);
    if (first.len <= FETCH_SETTINGS_MAX) {
        again = fetch_settings_parse(fields, first.data, first.len, NULL);
        MUST(again);
        fetch_settings_print(again, &second);
        MUST(first.len == second.len && !memcmp(first.data, second.data, first.len));
        fetch_settings_free(again);
    }
    fetch_settings_free(s);
    gs_buf_done(&first);
    gs_buf_done(&second);
}

static const char *header(const struct fetch_reply *r, const char *name)
{
    (void)name;
    return r->data;
}

/* The same bytes as every header and as the body. */
static void refusal(const char *text, size_t size)
{
    static const long statuses[] = {403, 429, 503, 404, 400};
    char *copy = malloc(size + 1);

    memcpy(copy, text, size);
    copy[size] = '\0';
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        const struct fetch_reply r = {.status = statuses[i], .body = copy, .len = size, .header = header, .data = copy};
        struct gs_err err = {0};
        struct fetch_judgement j = fetch_http_rc(&r, NOW_US, &err);

        MUST(j.outcome != FETCH_OUTCOME_OK && err.text[0] && !strchr(err.text, '\n'));
        MUST(j.outcome != FETCH_OUTCOME_WAITING || j.retry_at_us > NOW_US);
        MUST(j.retry_at_us <= NOW_US + FETCH_WAIT_MAX_US);
    }
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct fetch_auth auths[][2] = {{{.name = "a", .kind = FETCH_BEARER}},
                                                 {{.name = "a", .kind = FETCH_BASIC}},
                                                 {{.name = "a", .kind = FETCH_KEY, .header = "X", .prefix = "Key "}},
                                                 {{.name = "a", .kind = FETCH_USER_PASSWORD}}};
    struct gs_err err;

    request(data, size);
    form((const char *)data, size);
    for (size_t i = 0; i < sizeof auths / sizeof *auths; i++) {
        const struct fetch_connector c = {.label = "Fuzzed", .auths = auths[i]};

        fetch_secrets_free(fetch_secrets_parse(&c, (const char *)data, size, &err));
    }
    refusal((const char *)data, size);
    return 0;
}
