/* Results: the code names the decision, the text names the cause. */
#ifndef GS_RC_H
#define GS_RC_H

#include <stdarg.h>

#define GS_MUST_CHECK        __attribute__((warn_unused_result))
#define GS_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

enum gs_rc {
    GS_OK,     /* done */
    GS_AGAIN,  /* under way; the loop will call back, or: no room now, try when told */
    GS_RETRY,  /* the world failed; the same request may work later */
    GS_DENIED, /* sign-in refused; a person must act */
    GS_GONE,   /* the thing asked for does not exist */
    GS_REJECT, /* the input is wrong; never retry it as it is */
    GS_FATAL,  /* this process cannot go on */
};

/* Lives in the object it belongs to; never allocated. The text is a sentence without a final period. */
struct gs_err {
    enum gs_rc rc;
    char text[400];
};

/* Fills err (which may be null) and returns rc: return gs_fail(err, GS_REJECT, "row %d: no value", n); */
enum gs_rc gs_fail(struct gs_err *err, enum gs_rc rc, const char *fmt, ...) GS_PRINTF(3, 4);

/* "ok", "again", ... for logs and metrics; static storage. */
const char *gs_rc_name(enum gs_rc rc);

#endif
