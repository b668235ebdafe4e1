/* What a PostgreSQL server of a customer makes libpq say: whatever the bytes, there is a decision and a sentence.
 * links: fetch_worker fetch_core goalsync_proto */
#include "common/str.h"
#include "services/fetch/wire_postgres_names.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MUST(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            abort();                                                                                                   \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_be_a_sentence(const struct gs_err *err, enum gs_rc rc)
{
    size_t len = strlen(err->text);

    MUST(rc == err->rc && rc != GS_OK && rc != GS_AGAIN && len > 0);
    for (size_t i = 0, n; i < len; i += n) {
        n = gs_utf8_char(err->text + i, len - i);
        MUST(n > 0 && (unsigned char)err->text[i] >= 0x20 && err->text[i] != 0x7f);
    }
}

/* The first five bytes as a SQLSTATE as well, the rest as the server's own words. */
static void refusal(const char *text, size_t size)
{
    char state[6];
    struct gs_err err;

    gs_str_clean(state, sizeof(state), text, size < 5 ? size : 5);
    must_be_a_sentence(&err, fetch_pg_refusal(state, text + (size < 5 ? size : 5), &err));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1), state[6], type[FETCH_PG_TYPE_TEXT];
    struct gs_err err;
    enum gs_rc rc;

    MUST(text);
    memcpy(text, data, size);
    text[size] = '\0';
    rc = fetch_pg_connect_failure(text, "db.example.com", 5432, state, &err);
    must_be_a_sentence(&err, rc);
    MUST(!state[0] || strlen(state) == 5);
    refusal(text, strlen(text));
    MUST(strlen(fetch_pg_type_name(size > 3 ? (unsigned)(data[0] << 16 | data[1] << 8 | data[2]) : 0, type)) > 0);
    free(text);
    return 0;
}
