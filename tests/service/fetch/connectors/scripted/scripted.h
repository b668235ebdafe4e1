/* Shared by the connectors of tests, which differ in their lanes and limits only. */
#ifndef TEST_SCRIPTED_H
#define TEST_SCRIPTED_H

#include "services/fetch/connector.h"

extern const struct fetch_field scripted_connection_fields[], scripted_link_fields[];
enum gs_rc scripted_start(struct fetch_task *t);
enum gs_rc scripted_reply(struct fetch_task *t, const struct fetch_reply *r);

#endif
