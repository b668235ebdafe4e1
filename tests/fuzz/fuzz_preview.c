/* What the gateway and the command line read of fetch workers: an answer to a preview, whatever it is, can be shown.
 * links: fetch_asking */
#include "common/json.h"
#include "services/fetch/preview.h"

#include <stdlib.h>

#define MUST(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            abort();                                                                                                   \
    } while (0)
#define INPUT_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fetch_answer a;
    struct fetch_answer_message *m = size <= INPUT_MAX ? fetch_answer_read(data, size, NULL, &a) : NULL;
    struct gs_json *j;
    struct gs_buf b;
    struct gs_err err;

    if (!m)
        return 0;
    gs_buf_init(&b, 16 * INPUT_MAX);
    gs_buf_putc(&b, '{');
    fetch_answer_put_json(&a, &b);
    gs_buf_putc(&b, '}');
    j = gs_json_new(16 * INPUT_MAX, 4);
    MUST(!b.overflow && gs_json_parse(j, gs_buf_str(&b), b.len, &err) == GS_OK);
    MUST((gs_json_type(j, "/value") == GS_JSON_STRING) == a.ok && (gs_json_type(j, "/error") == GS_JSON_NULL) == a.ok);
    gs_json_free(j);
    gs_buf_done(&b);
    fetch_answer_free(m);
    return 0;
}
