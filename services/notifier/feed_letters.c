/* Dead letters of the feed: sent until Kafka has them. */
#include "services/notifier/feed_private.h"

#include "common/log.h"
#include "common/str.h"

#include <inttypes.h>
#include <stdio.h>

#define RETRY_US INT64_C(500000)
/* A letter that Kafka refuses for good (no such topic, too large with its headers) must not hold up the rest: the log
 * then says where the message lies. */
#define REFUSED_MAX 5

static void settle(struct notifier_feed *f, struct notifier_item *item)
{
    item->letter = NOTIFIER_LETTER_SENT;
    if (--f->letters > 0)
        return;
    if (f->draining)
        notifier_feed_leave(f);
    else
        notifier_feed_settled(f);
}

static void not_sent(struct notifier_feed *f, struct notifier_item *item, enum gs_rc rc, const char *err)
{
    item->letter = NOTIFIER_LETTER_DUE;
    if (rc == GS_REJECT && ++item->tries >= REFUSED_MAX) {
        gs_log_error(NULL, "dead letter refused", "topic=%s partition=%" PRId32 " offset=%" PRId64 " error=\"%s\"",
                     notifier_topics[item->topic], item->m->partition, item->m->offset, err);
        settle(f, item);
        return;
    }
    gs_timer_start(f->letter_timer, RETRY_US, 0);
}

/* Items do not move while letters are open. */
static void on_delivered(void *arg, enum gs_rc rc, const char *err)
{
    struct notifier_item *item = arg;
    struct notifier_feed *f = item->feed;

    if (f->stopped)
        return;
    if (rc == GS_OK)
        settle(f, item);
    else
        not_sent(f, item, rc, err);
}

static void send_letter(struct notifier_feed *f, struct notifier_item *item)
{
    struct gs_err err = {0};

    item->letter = NOTIFIER_LETTER_SENDING;
    enum gs_rc rc = gs_dead_letter_send(f->producer, NOTIFIER_GROUP, item->m, item->reason, item->error,
                                        item->tries + 1, on_delivered, item, &err);
    if (rc != GS_OK)
        not_sent(f, item, rc, err.text);
}

void notifier_feed_resend(void *feed)
{
    struct notifier_feed *f = feed;

    for (size_t i = 0; i < f->n; i++)
        if (f->items[i].letter == NOTIFIER_LETTER_DUE)
            send_letter(f, &f->items[i]);
}

void notifier_feed_bury(struct notifier_feed *f, struct notifier_item *item, const char *reason, const char *error)
{
    gs_log_warn(NULL, "dead letter", "topic=%s partition=%" PRId32 " offset=%" PRId64 " reason=%s error=\"%s\"",
                notifier_topics[item->topic], item->m->partition, item->m->offset, reason, error);
    notifier_count_letter(reason);
    notifier_event_done(&item->ev);
    item->feed = f;
    item->reason = reason;
    snprintf(item->error, sizeof item->error, "%s", error);
    f->letters++;
    send_letter(f, item);
}
