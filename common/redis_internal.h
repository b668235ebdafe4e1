/* Shared by the redis*.c files; nobody else includes it. */
#ifndef GS_REDIS_INTERNAL_H
#define GS_REDIS_INTERNAL_H

#include "common/redis.h"

#include <openssl/ssl.h>
#include <sys/types.h>

#define GS_REDIS_CONNECT_US     2000000 /* connection, TLS and sign-in together */
#define GS_REDIS_ANSWER_US      2000000 /* a cache that does not answer is away */
#define GS_REDIS_TICK_US        250000
#define GS_REDIS_BACKOFF_MIN_US 100000
#define GS_REDIS_BACKOFF_MAX_US 5000000
#define GS_REDIS_REPLY_MAX      (1u << 20)  /* bytes of one reply */
#define GS_REDIS_OUT_MAX        (64u << 20) /* bytes not sent yet */
#define GS_REDIS_IDLE_BUFFER    65536       /* of the reader, kept between replies */
#define GS_REDIS_READ           16384
#define GS_REDIS_ADDRESSES      8

/* ---- redis_url.c ---- */

struct gs_redis_url {
    bool tls;
    char *user, *password, *host, *port; /* user and password may be null; the rest is not */
    char *label;                         /* "redis at host:port" */
    int64_t db;
};

/* Percent escapes are undone. Mistakes never quote the url. */
enum gs_rc gs_redis_url_parse(const char *text, struct gs_redis_url *ret, struct gs_err *err) GS_MUST_CHECK;
void gs_redis_url_done(struct gs_redis_url *u);

/* ---- redis_stream.c: a non-blocking socket, with or without TLS ---- */

struct gs_redis_stream {
    int fd; /* -1: closed */
    SSL *ssl;
    bool connected; /* TCP */
    bool secure;    /* TLS handshake done, or none wanted */
    int wants;      /* UV events without which it cannot go on */
    char error[200];
};

SSL_CTX *gs_redis_tls_new(const char *ca_file, const char *cert_file, const char *key_file, struct gs_err *err);
/* tls may be null. GS_RETRY: error says why. */
enum gs_rc gs_redis_stream_open(struct gs_redis_stream *s, const struct sockaddr *address, SSL_CTX *tls,
                                const char *host);
void gs_redis_stream_close(struct gs_redis_stream *s);
/* Goes on connecting. GS_OK: ready for data; GS_AGAIN: see wants; GS_RETRY: failed. */
enum gs_rc gs_redis_stream_step(struct gs_redis_stream *s);
/* Bytes moved; 0: not now, see wants; -1: the connection is over. */
ssize_t gs_redis_stream_read(struct gs_redis_stream *s, void *dst, size_t size);
ssize_t gs_redis_stream_write(struct gs_redis_stream *s, const void *src, size_t len);

#endif
