/* What the notifier reads from outside: events about goals, secrets of webhooks, what receivers ask for; and hosts.
 * links: goalsync_notify */
#include <stdlib.h>
#include <string.h>

#include "common/egress.h"
#include "common/str.h"
#include "services/notifier/notifier.h"
#include "services/notifier/retry.h"
#include "services/notifier/sign.h"
#include "services/notifier/wire.h"

#define MUST(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            abort();                                                                                                   \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is told has all that the statement needs, and text that PostgreSQL takes. */
static void event(enum notifier_topic topic, const uint8_t *data, size_t size)
{
    struct notifier_event ev;
    struct gs_err err;

    if (notifier_wire_read(topic, data, size, &ev, &err) != GS_OK) {
        MUST(err.text[0] && !ev.unpacked);
        return;
    }
    MUST(ev.org_id > 0 && ev.goal_id > 0 && ev.at_us > 0 && ev.person_id >= 0 && ev.now.status);
    MUST(ev.noted == !ev.cause && ev.noted == (ev.public_id != NULL));
    for (const char *p = ev.title ? ev.title : ""; *p; p += gs_utf8_char(p, strlen(p)))
        MUST(gs_utf8_char(p, strlen(p)) > 0);
    notifier_event_done(&ev);
}

static void key(const char *text, size_t size)
{
    struct notifier_key k;
    struct gs_buf header;

    if (notifier_key_read(text, size, &k, NULL) != GS_OK)
        return;
    MUST(k.len >= NOTIFIER_KEY_MIN && k.len <= NOTIFIER_KEY_MAX);
    gs_buf_init(&header, 100);
    notifier_sign(&header, &k, "id", 1, text, size);
    MUST(!header.overflow && header.len == 3 + 44);
    gs_buf_done(&header);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    MUST(text);
    memcpy(text, data, size);
    text[size] = '\0';
    event(NOTIFIER_CHANGED, data, size);
    event(NOTIFIER_NOTED, data, size);
    key(text, size);
    MUST(notifier_retry_asked(text, 5) >= 5);
    MUST(!gs_egress_host_refused(text, true) || gs_egress_host_refused(text, false));
    free(text);
    return 0;
}
