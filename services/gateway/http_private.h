/* Between http.c, request.c and reply.c. All of it runs on libmicrohttpd's thread. */
#ifndef GATEWAY_HTTP_PRIVATE_H
#define GATEWAY_HTTP_PRIVATE_H

#include "services/gateway/private.h"

/* ---- http.c ---- */
/* The connection has nothing to do with the request any more. */
void gw_http_over(struct gw_call *c);

/* ---- request.c ---- */
/* Takes the headers over and finds the operation; c->refused when the request is answered already. */
void gw_request_read(struct gw_call *c, const char *method, const char *version);
/* A piece of the body; false: end the connection. */
bool gw_request_body(struct gw_call *c, const char *data, size_t len);
/* The body has come to its end. */
void gw_request_whole(struct gw_call *c);
void gw_refuse(struct gw_call *c, int status, const char *code, const char *fmt, ...) GS_PRINTF(4, 5);

/* ---- reply.c ---- */
enum MHD_Result gw_reply(struct gw_call *c);

/* ---- connections.c ---- */
struct gw_connections;
struct gw_connections *gw_connections_new(uv_loop_t *loop);
struct gw_connections *gw_connections_free(struct gw_connections *all);
void gw_connections_note(void *all, struct MHD_Connection *conn, void **socket_context,
                         enum MHD_ConnectionNotificationCode what);
/* The request that a connection carries now; null: none. */
void gw_connections_carry(struct MHD_Connection *conn, struct gw_call *call);
/* Whose turn it is: while it is the client's, its time runs. */
enum gw_turn { GW_RECEIVING, GW_WORKING, GW_SENDING };
void gw_connections_turn(struct gw_connections *all, struct MHD_Connection *conn, enum gw_turn turn);

#endif
