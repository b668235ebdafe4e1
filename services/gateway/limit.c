/* Buckets of callers: filled evenly up to a brim, one taken for each request. The table is bounded; who was not seen
 * for longest makes room, and begins anew with a full bucket.
 *
 * A token or session has a bucket of its own only once it was found to be good; until then, and when it is not, its
 * requests count for the address they come from, so that guessing gets nobody more. */
#include "services/gateway/limit.h"

#include "common/clock.h"
#include "common/mem.h"
#include "common/str.h"
#include "services/gateway/private.h"
#include "services/gateway/settings.h"

#include <arpa/inet.h>
#include <math.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

enum { SETS = 4096, WAYS = 8 };

struct bucket {
    uint64_t key; /* 0: free */
    double left;
    int64_t at_us; /* when that was so */
};

static struct {
    pthread_mutex_t mutex;
    uint64_t seed; /* nobody outside can aim at somebody's place in the table */
    struct bucket table[SETS][WAYS];
} limits = {.mutex = PTHREAD_MUTEX_INITIALIZER};

void gw_limit_start(void)
{
    if (RAND_bytes((unsigned char *)&limits.seed, sizeof(limits.seed)) != 1)
        abort();
}

static uint64_t key_of(const void *data, size_t len, uint64_t kind)
{
    uint64_t key = gs_hash64(data, len, limits.seed ^ kind);

    return key ? key : 1;
}

/* Of the token or session that the caller shows; 0: none. Spaces and other cookies make nobody another one. */
static uint64_t key_of_caller(const struct gw_call *c)
{
    size_t len;
    const char *shown = gw_auth_shown(gw_call_header(c, "Authorization"), gw_call_header(c, "Cookie"), &len);

    return shown ? key_of(shown, len, 0) : 0;
}

/* Who has one address of IPv6 has all those of its network. */
static uint64_t key_of_address(const char *address)
{
    unsigned char bytes[16];

    if (inet_pton(AF_INET6, address, bytes) == 1)
        return key_of(bytes, 8, 6);
    return key_of(address, strlen(address), 4);
}

static struct bucket *find(uint64_t key)
{
    struct bucket *set = limits.table[key % SETS];

    for (size_t i = 0; i < WAYS; i++)
        if (set[i].key == key)
            return &set[i];
    return NULL;
}

static struct bucket *find_or_make(uint64_t key, double brim, int64_t now_us)
{
    struct bucket *set = limits.table[key % SETS], *b = find(key);

    if (b)
        return b;
    b = &set[0];
    for (size_t i = 1; i < WAYS; i++)
        if (set[i].at_us < b->at_us)
            b = &set[i];
    *b = (struct bucket){.key = key, .left = brim, .at_us = now_us};
    return b;
}

static bool take(struct bucket *b, double rate, double brim, int64_t now_us)
{
    double filled = b->left + (double)(now_us - b->at_us) / 1e6 * rate;

    b->left = filled < brim ? filled : brim;
    b->at_us = now_us;
    if (b->left < 1)
        return false;
    b->left -= 1;
    return true;
}

/* As draft-ietf-httpapi-ratelimit-headers has it. */
static void tell(struct gw_call *c, const char *policy, double rate, double brim, double left)
{
    long long full_s = (long long)ceil((brim - left) / rate);

    gw_header_set(c, "RateLimit-Policy",
                  gw_call_printf(c, "\"%s\";q=%.0f;w=%lld", policy, brim, (long long)ceil(brim / rate)));
    gw_header_set(c, "RateLimit", gw_call_printf(c, "\"%s\";r=%.0f;t=%lld", policy, floor(left), full_s));
    if (left < 1)
        gw_header_set(c, "Retry-After", gw_call_printf(c, "%lld", (long long)ceil((1 - left) / rate)));
}

bool gw_limit_take(struct gw_call *c)
{
    uint64_t key = key_of_caller(c);
    double rate = (double)gw_settings.rate, brim = (double)gw_settings.burst, left;
    int64_t now_us = gs_mono_us();
    struct bucket *b;
    bool ok, known;

    pthread_mutex_lock(&limits.mutex);
    b = key ? find(key) : NULL;
    known = b;
    if (!known) {
        rate = (double)gw_settings.anonymous_rate;
        brim = (double)gw_settings.anonymous_burst;
        b = find_or_make(key_of_address(c->address), brim, now_us);
    }
    ok = take(b, rate, brim, now_us);
    c->caller_key = b->key;
    left = b->left;
    pthread_mutex_unlock(&limits.mutex);
    if (!ok || known)
        tell(c, known ? "caller" : "address", rate, brim, left);
    return ok;
}

void gw_limit_known(struct gw_call *c)
{
    uint64_t key = key_of_caller(c);

    if (!key)
        return;
    pthread_mutex_lock(&limits.mutex);
    (void)find_or_make(key, (double)gw_settings.burst, gs_mono_us());
    pthread_mutex_unlock(&limits.mutex);
}
