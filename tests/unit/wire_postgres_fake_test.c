// links: fetch_worker fetch_core
/* services/fetch/wire_postgres.h against fakes for what no real server does (silence, endless notices, other
 * protocols), against targets that must not be connected to, and its tables of codes. */
#include "services/fetch/wire_postgres_names.h"
#include "tests/unit/wire_postgres_helpers.h"

#include <signal.h>

/* ---- fakes: what no real server does ---- */

struct fake {
    uv_tcp_t server, client;
    bool accepted;
    const char *first; /* sent before all else */
    size_t first_len;
    const char *bytes; /* sent when something came */
    size_t len;
    bool endless; /* ... and again, and again */
};

static void fake_write(struct fake *k);

static void on_fake_written(uv_write_t *req, int status)
{
    struct fake *k = req->data;

    free(req);
    if (status == 0 && k->endless)
        fake_write(k);
}

static void fake_write(struct fake *k)
{
    uv_write_t *req = gs_alloc(sizeof(*req));
    bool first = k->first_len > 0;
    uv_buf_t buf = first ? uv_buf_init((char *)(uintptr_t)k->first, (unsigned)k->first_len)
                         : uv_buf_init((char *)(uintptr_t)k->bytes, (unsigned)k->len);

    k->first_len = 0;
    req->data = k;
    if (uv_write(req, (uv_stream_t *)&k->client, &buf, 1, on_fake_written) != 0)
        free(req);
}

static void on_fake_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    static char room[4096];

    (void)handle;
    (void)size;
    *buf = uv_buf_init(room, sizeof(room));
}

static void on_fake_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct fake *k = stream->data;

    (void)buf;
    if (n < 0)
        uv_read_stop(stream);
    else if (k->len)
        fake_write(k);
}

static void on_fake_connection(uv_stream_t *server, int status)
{
    struct fake *k = server->data;

    assert_int_equal(status, 0);
    uv_tcp_init(server->loop, &k->client);
    k->client.data = k;
    k->accepted = true;
    assert_int_equal(uv_accept(server, (uv_stream_t *)&k->client), 0);
    uv_read_start((uv_stream_t *)&k->client, on_fake_alloc, on_fake_read);
}

static void ask_fake(struct fixture *f, struct fake *k, const char *sslmode, int64_t time_us)
{
    struct sockaddr_in at;
    int len = sizeof(at);

    uv_ip4_addr("127.0.0.1", 0, &at);
    uv_tcp_init(&f->loop, &k->server);
    k->server.data = k;
    assert_int_equal(uv_tcp_bind(&k->server, (struct sockaddr *)&at, 0), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&k->server, 1, on_fake_connection), 0);
    uv_tcp_getsockname(&k->server, (struct sockaddr *)&at, &len);
    const struct fetch_pg_target to = {.host = "127.0.0.1",
                                       .port = ntohs(at.sin_port),
                                       .database = "d",
                                       .sslmode = sslmode,
                                       .user = "u",
                                       .password = "p",
                                       .allow_plain = true};
    ask_until(f, &to, "SELECT 1", time_us);
    uv_close((uv_handle_t *)&k->server, NULL);
    if (k->accepted)
        uv_close((uv_handle_t *)&k->client, NULL);
    uv_run(&f->loop, UV_RUN_DEFAULT);
}

#define ACCEPTED    "R\0\0\0\10\0\0\0\0Z\0\0\0\5I"
#define BYTES(text) .bytes = (text), .len = sizeof(text) - 1

static void silent_server(void **state)
{
    struct fixture *f = *state;
    struct fake k = {0};

    ask_fake(f, &k, "disable", SECOND / 5);
    assert_int_equal(f->rc, GS_RETRY);
    assert_non_null(strstr(f->error, "connecting to the server"));
}

static void other_protocols(void **state)
{
    struct fixture *f = *state;
    struct fake plain = {BYTES("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")};
    struct fake tls = {BYTES("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")};
    struct fake no_tls = {BYTES("N")};

    ask_fake(f, &plain, "disable", PATIENCE);
    assert_int_equal(f->rc, GS_REJECT);
    assert_non_null(strstr(f->error, "not a PostgreSQL server"));
    ask_fake(f, &tls, "require", PATIENCE);
    assert_int_equal(f->rc, GS_REJECT);
    ask_fake(f, &no_tls, "require", PATIENCE);
    assert_int_equal(f->rc, GS_REJECT);
    assert_non_null(strstr(f->error, "does not offer TLS"));
}

static void never_ending_servers(void **state)
{
    struct fixture *f = *state;
    /* An accepted sign-in, then notices for ever. */
    struct fake notices = {
        .first = ACCEPTED, .first_len = sizeof(ACCEPTED) - 1, BYTES("N\0\0\0\24SNOTICE\0Mhello\0\0"), .endless = true};
    /* The same without being ready ever. */
    struct fake unready = {.first = "R\0\0\0\10\0\0\0\0", .first_len = 9, BYTES("S\0\0\0\10a\0b\0"), .endless = true};

    ask_fake(f, &notices, "disable", PATIENCE);
    assert_int_equal(f->rc, GS_REJECT);
    assert_non_null(strstr(f->error, "more than 1048576 bytes"));
    ask_fake(f, &unready, "disable", PATIENCE);
    assert_int_equal(f->rc, GS_REJECT);
    assert_non_null(strstr(f->error, "more than 1048576 bytes"));
}

static bool no_address(void *arg, const struct sockaddr *address)
{
    (void)address;
    ++*(int *)arg;
    return false;
}

static void targets_are_checked(void **state)
{
    static const char *const hosts[] = {"", "/tmp", "a,b", "host user=x", "@abstract", "a\nb"};
    struct fixture *f = *state;
    int asked = 0;
    struct fetch_pg_target to = {.port = 5432, .database = "d", .sslmode = "verify-full", .user = "u"};

    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        to.host = hosts[i];
        refused(f, &to, GS_REJECT, "host");
    }
    to.host = "no-such-host.invalid";
    refused(f, &to, GS_RETRY, "could not be resolved");
    to.host = "127.0.0.1";
    to.port = 0;
    refused(f, &to, GS_REJECT, "port");
    to.port = 1;
    refused(f, &to, GS_RETRY, "no connection to");
    to.address_allowed = no_address;
    to.address_arg = &asked;
    refused(f, &to, GS_REJECT, "not allowed as sources");
    assert_true(asked > 0);
    to.address_allowed = NULL;
    ask_until(f, &to, "SELECT 1", 0); /* too late before it began */
    assert_int_equal(f->rc, GS_RETRY);
}

/* ---- names ---- */

static void codes_decide(void **state)
{
    static const struct {
        const char *code;
        enum gs_rc rc;
    } codes[] = {
        {"28P01", GS_DENIED}, {"28000", GS_DENIED}, {"3D000", GS_REJECT}, {"42P01", GS_REJECT}, {"42501", GS_REJECT},
        {"42601", GS_REJECT}, {"25006", GS_REJECT}, {"22012", GS_REJECT}, {"53300", GS_RETRY},  {"57P01", GS_RETRY},
        {"57P03", GS_RETRY},  {"57014", GS_RETRY},  {"08006", GS_RETRY},  {"40001", GS_RETRY},  {"40P01", GS_RETRY},
        {"XX000", GS_RETRY},  {"", GS_REJECT},
    };
    struct gs_err err;
    char sqlstate[6], type[FETCH_PG_TYPE_TEXT];

    (void)state;
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        assert_int_equal(fetch_pg_sqlstate_rc(codes[i].code), codes[i].rc);
    assert_int_equal(fetch_pg_connect_failure("connection to server at \"h\" (::1), port 5 failed: FATAL:  28P01\n",
                                              "h", 5, sqlstate, &err),
                     GS_DENIED);
    assert_string_equal(sqlstate, "28P01");
    assert_int_equal(
        fetch_pg_connect_failure("... failed: FATAL:  28P01\n... failed: Connection refused\n", "h", 5, sqlstate, &err),
        GS_RETRY);
    assert_string_equal(sqlstate, "");
    assert_non_null(strstr(err.text, "Connection refused"));
    assert_int_equal(fetch_pg_connect_failure("", "h", 5, sqlstate, &err), GS_RETRY);
    assert_int_equal(fetch_pg_connect_failure("... failed: \n", "h", 5, sqlstate, &err), GS_RETRY);
    assert_string_equal(err.text, "no connection to h port 5: no reason was given");
    assert_string_equal(fetch_pg_type_name(23, type), "int4");
    assert_string_equal(fetch_pg_type_name(4294967295u, type), "oid 4294967295");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(silent_server),       TEST(other_protocols),          TEST(never_ending_servers),
        TEST(targets_are_checked), cmocka_unit_test(codes_decide),
    };

    signal(SIGPIPE, SIG_IGN); /* as services do */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
