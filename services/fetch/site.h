/* Hosts as this worker knows them: how many requests each has at once, who waits for it, whether it is dead. */
#ifndef FETCH_SITE_H
#define FETCH_SITE_H

#include "common/metrics.h"
#include "services/fetch/catalogue.h"
#include "services/fetch/queue.h"

#include <uv.h>

#define FETCH_SITE_REQUESTS     64 /* at once with one host, where its connector does not say */
#define FETCH_SITE_REQUESTS_SQL 16 /* sessions of one connection's database */

struct fetch_site;
struct fetch_sites;

enum fetch_site_end { FETCH_SITE_ANSWERED, FETCH_SITE_FAILED, FETCH_SITE_UNKNOWN };
enum fetch_site_entry { FETCH_SITE_GO, FETCH_SITE_FULL, FETCH_SITE_DEAD };

enum fetch_site_call {
    FETCH_SITE_ITS_TURN, /* it is inside */
    FETCH_SITE_DIED,
    FETCH_SITE_CROWDED, /* others need the room that it waits in */
};

struct fetch_sites *fetch_sites_new(uv_loop_t *loop, void (*called)(struct fetch_turn *t, enum fetch_site_call why));
struct fetch_sites *fetch_sites_free(struct fetch_sites *ss); /* when nobody is inside or waits */

/* The host of that key, "https://host:port"; it lives while somebody is inside or waits, and a while longer. */
struct fetch_site *fetch_sites_find(struct fetch_sites *ss, const struct fetch_entry *e, const char *key, size_t len);
/* GO: inside; probe tells that it is asked whether it lives. FULL: wait. DEAD: go away. */
enum fetch_site_entry fetch_site_enter(struct fetch_site *s, bool *ret_probe);
/* Whether entering would be answered with DEAD; changes nothing. */
bool fetch_site_is_dead(const struct fetch_site *s);
void fetch_site_wait(struct fetch_site *s, struct fetch_turn *t, int64_t org_id);
void fetch_site_leave(struct fetch_site *s, struct fetch_turn *t); /* without being called */
const struct fetch_queue *fetch_site_queue(const struct fetch_site *s);
/* So many wait for each of the connector's hosts at the most; the others are called as `crowded`. */
void fetch_sites_thin(struct fetch_sites *ss, const struct fetch_entry *e, size_t most);
/* why: the failure's sentence. */
void fetch_site_left(struct fetch_site *s, enum fetch_site_end end, bool probe, const char *why);
/* Of a dead one: a sentence, and when to come back (wall clock). */
int64_t fetch_site_dead_until(const struct fetch_site *s, char *dst, size_t size);

#endif
