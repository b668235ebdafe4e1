/* What /metrics tells of requests. The series are made at start, before other threads count in them. */
#include "services/gateway/private.h"

#include <stdio.h>

static struct gs_metric *unrouted[6];

static struct gs_metric *counter(const char *operation, int class)
{
    char labels[160];

    snprintf(labels, sizeof(labels), "operation=\"%s\",class=\"%dxx\"", operation, class);
    return gs_counter("goalsync_gateway_requests_total", labels, "Requests by operation and class of status");
}

void gw_count_start(struct gw_server *s)
{
    for (struct gw_operation *op = gw_document_operations(s->document); op; op = op->next) {
        char labels[160];
        snprintf(labels, sizeof(labels), "operation=\"%s\"", op->id);
        op->duration =
            gs_histogram("goalsync_gateway_request_seconds", labels, "From the first byte of a request to its answer");
        for (int class = 2; class < 6; class ++)
            op->answers[class] = counter(op->id, class);
    }
    for (int class = 2; class < 6; class ++)
        unrouted[class] = counter("", class);
    s->in_flight_gauge = gs_gauge("goalsync_gateway_in_flight", NULL, "Requests that are not answered yet");
}

void gw_count(const struct gw_call *c, int status, double seconds)
{
    gs_metric_add((c->op ? c->op->answers : unrouted)[status / 100], 1);
    if (c->op)
        gs_metric_observe(c->op->duration, seconds);
}
