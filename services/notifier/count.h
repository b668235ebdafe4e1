/* The notifier's figures. */
#ifndef NOTIFIER_COUNT_H
#define NOTIFIER_COUNT_H

#include <stddef.h>
#include <stdint.h>

enum notifier_outcome {
    NOTIFIER_DELIVERED,
    NOTIFIER_AGAIN,   /* failed, will be tried again */
    NOTIFIER_FAILED,  /* given up */
    NOTIFIER_STOPPED, /* the receiver answered 410 */
    NOTIFIER_OUTCOMES,
};

void notifier_count_init(void);
void notifier_count_events(size_t messages, int64_t deliveries);
void notifier_count_letter(const char *reason);
void notifier_count_delivery(enum notifier_outcome outcome, int64_t elapsed_us);
void notifier_count_in_flight(size_t n);

#endif
