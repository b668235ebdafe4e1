/* Where a webhook may lead. */
#ifndef GATEWAY_WEBHOOK_H
#define GATEWAY_WEBHOOK_H

#include "common/env.h"
#include "common/rc.h"

extern const struct gs_env gw_webhook_env[]; /* GOALSYNC_NOTIFIER_ALLOW_PRIVATE, _ALLOW_PLAIN: the notifier's own */

struct gw_webhook_rules {
    bool allow_private, allow_plain;
};
extern struct gw_webhook_rules gw_webhook_rules;

/* What can be said of a URL without asking anybody: the notifier looks at the addresses each time it connects.
 * GS_REJECT: err says what is wrong with it, as the end of a sentence. */
enum gs_rc gw_webhook_url_check(const char *url, const struct gw_webhook_rules *rules,
                                struct gs_err *err) GS_MUST_CHECK;

#endif
