/* The windows of the webhooks that are being told something; sorted by id. */
#include "services/notifier/window.h"

#include "common/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct notifier_windows {
    struct notifier_window *items; /* as many as have deliveries under way, and a few more */
    size_t n, cap;
    int32_t max;
};

/* Where it is, or would be. */
static size_t place_of(const struct notifier_windows *w, int64_t webhook_id)
{
    size_t low = 0, high = w->n;

    while (low < high) {
        size_t mid = (low + high) / 2;
        if (w->items[mid].webhook_id < webhook_id)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

void notifier_window_begin(struct notifier_windows *w, int64_t webhook_id)
{
    size_t i = place_of(w, webhook_id);

    if (i == w->n || w->items[i].webhook_id != webhook_id) {
        if (w->n == w->cap) {
            w->cap = w->cap ? 2 * w->cap : 64;
            w->items = gs_realloc_n(w->items, w->cap, sizeof *w->items);
        }
        memmove(w->items + i + 1, w->items + i, (w->n - i) * sizeof *w->items);
        w->items[i] = (struct notifier_window){.webhook_id = webhook_id, .size = 1, .asked = 1};
        w->n++;
    }
    w->items[i].in_flight++;
    w->items[i].got++;
}

bool notifier_window_end(struct notifier_windows *w, int64_t webhook_id, bool delivered)
{
    size_t i = place_of(w, webhook_id);

    assert(i < w->n && w->items[i].webhook_id == webhook_id && w->items[i].in_flight > 0);
    struct notifier_window *x = &w->items[i];
    x->in_flight--;
    if (delivered)
        x->size = 2 * x->size < w->max ? 2 * x->size : w->max;
    else
        x->size = 1;
    return x->more && notifier_window_room(x) > 0;
}

size_t notifier_windows_count(const struct notifier_windows *w)
{
    return w->n;
}

const struct notifier_window *notifier_windows_at(const struct notifier_windows *w, size_t i)
{
    return &w->items[i];
}

int32_t notifier_window_room(const struct notifier_window *w)
{
    return w->in_flight < w->size ? w->size - w->in_flight : 0;
}

void notifier_windows_ask(struct notifier_windows *w)
{
    for (size_t i = 0; i < w->n; i++) {
        w->items[i].asked = notifier_window_room(&w->items[i]);
        w->items[i].got = 0;
    }
}

/* Deliveries may have ended since the claim was made, so the room there is now says nothing. */
void notifier_windows_claimed(struct notifier_windows *w)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->items[i].asked > 0)
            w->items[i].more = w->items[i].got >= w->items[i].asked;
}

bool notifier_windows_ready(const struct notifier_windows *w)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->items[i].more && notifier_window_room(&w->items[i]) > 0)
            return true;
    return false;
}

void notifier_windows_fade(struct notifier_windows *w)
{
    size_t kept = 0;

    for (size_t i = 0; i < w->n; i++) {
        struct notifier_window x = w->items[i];
        if (x.in_flight == 0)
            x.size /= 2;
        if (x.size > 0)
            w->items[kept++] = x;
    }
    w->n = kept;
}

struct notifier_windows *notifier_windows_new(int32_t max)
{
    struct notifier_windows *w = gs_alloc(sizeof *w);

    w->max = max;
    return w;
}

struct notifier_windows *notifier_windows_free(struct notifier_windows *w)
{
    if (w)
        free(w->items);
    free(w);
    return NULL;
}
