/* A non-blocking socket to Redis, with or without TLS. */
#include "common/redis_internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void drop_tls_errors(void)
{
    ERR_clear_error();
}

SSL_CTX *gs_redis_tls_new(const char *ca_file, const char *cert_file, const char *key_file, struct gs_err *err)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    const char *what = NULL;

    if (!ctx) {
        gs_fail(err, GS_FATAL, "OpenSSL does not start");
        return NULL;
    }
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (ca_file && *ca_file ? SSL_CTX_load_verify_locations(ctx, ca_file, NULL) != 1
                            : SSL_CTX_set_default_verify_paths(ctx) != 1)
        what = "GOALSYNC_REDIS_CA_FILE";
    else if (cert_file && *cert_file && SSL_CTX_use_certificate_chain_file(ctx, cert_file) != 1)
        what = "GOALSYNC_REDIS_CERT_FILE";
    else if (key_file && *key_file && SSL_CTX_use_PrivateKey_file(ctx, key_file, SSL_FILETYPE_PEM) != 1)
        what = "GOALSYNC_REDIS_KEY_FILE";
    drop_tls_errors();
    if (!what)
        return ctx;
    gs_fail(err, GS_REJECT, "%s cannot be read, or does not hold what it should", what);
    SSL_CTX_free(ctx);
    return NULL;
}

/* The name, or address, in the certificate must be the url's. */
static bool start_tls(struct gs_redis_stream *s, SSL_CTX *tls, const char *host)
{
    unsigned char ip[16];
    bool is_ip = uv_inet_pton(AF_INET, host, ip) == 0 || uv_inet_pton(AF_INET6, host, ip) == 0;

    s->ssl = SSL_new(tls);
    if (!s->ssl || SSL_set_fd(s->ssl, s->fd) != 1)
        return false;
    SSL_set_connect_state(s->ssl);
    if (is_ip)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(s->ssl), host) == 1;
    return SSL_set1_host(s->ssl, host) == 1 && SSL_set_tlsext_host_name(s->ssl, host) == 1;
}

static enum gs_rc fail(struct gs_redis_stream *s, const char *what, const char *why)
{
    snprintf(s->error, sizeof(s->error), "%s: %s", what, why);
    return GS_RETRY;
}

enum gs_rc gs_redis_stream_open(struct gs_redis_stream *s, const struct sockaddr *address, SSL_CTX *tls,
                                const char *host)
{
    socklen_t len = address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    int one = 1;

    *s = (struct gs_redis_stream){.fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    if (s->fd < 0)
        return fail(s, "no socket", strerror(errno));
    setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (connect(s->fd, address, len) != 0 && errno != EINPROGRESS)
        return fail(s, "no connection", strerror(errno));
    if (tls && !start_tls(s, tls, host))
        return fail(s, "no TLS", "the host's name cannot be checked");
    s->wants = UV_WRITABLE;
    return GS_AGAIN;
}

void gs_redis_stream_close(struct gs_redis_stream *s)
{
    SSL_free(s->ssl);
    if (s->fd >= 0)
        close(s->fd);
    *s = (struct gs_redis_stream){.fd = -1};
}

/* What the last TLS call needs to go on; false when it failed for good. */
static bool tls_wants(struct gs_redis_stream *s, int result)
{
    int code = SSL_get_error(s->ssl, result);

    s->wants = code == SSL_ERROR_WANT_READ ? UV_READABLE : code == SSL_ERROR_WANT_WRITE ? UV_WRITABLE : 0;
    return s->wants != 0;
}

static const char *tls_reason(const struct gs_redis_stream *s)
{
    long verdict = SSL_get_verify_result(s->ssl);
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());

    if (verdict != X509_V_OK)
        return X509_verify_cert_error_string(verdict);
    return reason ? reason : "the connection was closed";
}

enum gs_rc gs_redis_stream_step(struct gs_redis_stream *s)
{
    int error = 0, result;
    socklen_t len = sizeof(error);

    if (!s->connected) {
        getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len);
        if (error != 0)
            return fail(s, "no connection", strerror(error));
        s->connected = true;
    }
    if (s->ssl && !s->secure) {
        drop_tls_errors();
        result = SSL_do_handshake(s->ssl);
        if (result != 1)
            return tls_wants(s, result) ? GS_AGAIN : fail(s, "no TLS", tls_reason(s));
    }
    s->secure = true;
    s->wants = 0;
    return GS_OK;
}

static ssize_t plain_result(struct gs_redis_stream *s, ssize_t n, int want)
{
    s->wants = 0;
    if (n > 0)
        return n;
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        s->wants = want;
        return 0;
    }
    fail(s, "the connection was lost", n == 0 ? "closed by the server" : strerror(errno));
    return -1;
}

static ssize_t tls_result(struct gs_redis_stream *s, int n)
{
    s->wants = 0;
    if (n > 0)
        return n;
    if (tls_wants(s, n))
        return 0;
    fail(s, "the connection was lost", tls_reason(s));
    return -1;
}

ssize_t gs_redis_stream_read(struct gs_redis_stream *s, void *dst, size_t size)
{
    if (!s->ssl)
        return plain_result(s, recv(s->fd, dst, size, 0), UV_READABLE);
    drop_tls_errors();
    return tls_result(s, SSL_read(s->ssl, dst, (int)size));
}

ssize_t gs_redis_stream_write(struct gs_redis_stream *s, const void *src, size_t len)
{
    if (!s->ssl)
        return plain_result(s, send(s->fd, src, len, MSG_NOSIGNAL), UV_WRITABLE);
    drop_tls_errors();
    return tls_result(s, SSL_write(s->ssl, src, len > INT32_MAX ? INT32_MAX : (int)len));
}
