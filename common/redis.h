/* Redis on the loop: hiredis formats and reads the protocol; the socket, TLS (OpenSSL) and reconnects are ours, because
 * Debian's hiredis 0.14 has no TLS. Commands are pipelined. A cache: when Redis is away, commands end at once with
 * GS_RETRY and the caller goes to the truth. */
#ifndef GS_REDIS_H
#define GS_REDIS_H

#include "common/env.h"
#include "common/rc.h"

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

/* GOALSYNC_REDIS_URL: redis://[user:password@]host:port[/db], rediss:// for TLS; GOALSYNC_REDIS_CA_FILE, _CERT_FILE,
 * _KEY_FILE. */
extern const struct gs_env gs_redis_env[];

struct gs_redis;

struct gs_redis *gs_redis_new(uv_loop_t *loop, struct gs_err *err);
struct gs_redis *gs_redis_free(struct gs_redis *r); /* open commands end with GS_RETRY */
bool gs_redis_up(const struct gs_redis *r);

/* reply is borrowed, null unless rc is GS_OK. GS_REJECT: Redis answered with an error (err). */
typedef void (*gs_redis_fn)(void *arg, enum gs_rc rc, const redisReply *reply, const char *err);
/* fn may be null. At most GS_REDIS_PENDING commands wait; beyond that GS_RETRY at once. */
#define GS_REDIS_PENDING 16384
void gs_redis_command(struct gs_redis *r, gs_redis_fn fn, void *arg, int argc, const char *const *argv,
                      const size_t *lens);

#endif
