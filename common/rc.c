/* The names of results and the one way to fail with a text. */
#include "common/rc.h"

#include <stdio.h>

enum gs_rc gs_fail(struct gs_err *err, enum gs_rc rc, const char *fmt, ...)
{
    if (err) {
        /* The arguments may point into err itself: an outer function adds to an inner one's text. */
        char text[sizeof(err->text)];
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(text, sizeof(text), fmt, ap);
        va_end(ap);
        err->rc = rc;
        snprintf(err->text, sizeof(err->text), "%s", text);
    }
    return rc;
}

const char *gs_rc_name(enum gs_rc rc)
{
    switch (rc) {
    case GS_OK:
        return "ok";
    case GS_AGAIN:
        return "again";
    case GS_RETRY:
        return "retry";
    case GS_DENIED:
        return "denied";
    case GS_GONE:
        return "gone";
    case GS_REJECT:
        return "reject";
    case GS_FATAL:
        return "fatal";
    }
    return "unknown";
}
