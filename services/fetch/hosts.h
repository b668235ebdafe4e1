/* Addresses of sources as the operator has them: a connector's own hosts, unless the setting GOALSYNC_HOSTS replaces
 * some by those of a government or private cloud, a recording proxy or a test server, with a CA of their own:
 *
 *     {"google-sheets": {"api": "https://sheets.example.org", "ca_file": "/etc/goalsync/example-ca.pem"}}
 *
 * Read once at start, before anybody asks; then from any thread. */
#ifndef FETCH_HOSTS_H
#define FETCH_HOSTS_H

#include "common/env.h"
#include "services/fetch/catalogue.h"

#define FETCH_HOSTS_MAX 8 /* of one connector */

extern const struct gs_env fetch_hosts_env[]; /* GOALSYNC_HOSTS; as a file: GOALSYNC_HOSTS_FILE */

/* Takes the setting. catalogue: the connectors of this program; those of other programs are passed over. allow_plain:
 * http:// is accepted, of this machine. GS_REJECT names the place and what is wrong there. */
enum gs_rc fetch_hosts_start(const struct fetch_entry *catalogue, bool allow_plain, struct gs_err *err) GS_MUST_CHECK;
/* The same from a text; what was taken before is forgotten, also when it fails. */
enum gs_rc fetch_hosts_parse(const struct fetch_entry *catalogue, const char *text, size_t len, bool allow_plain,
                             struct gs_err *err) GS_MUST_CHECK;
void fetch_hosts_clear(void);

/* Without a slash at its end; null: the connector has no such host. */
const char *fetch_host_url(const struct fetch_connector *c, const char *name);
/* Null: the usual one. */
const char *fetch_host_ca_file(const struct fetch_connector *c);

/* Fills "{accounts}/oauth/token": each name is one of the connector's hosts, or a setting of the connection, which is a
 * whole address at the start of the pattern and one segment or a part of a host name elsewhere. GS_REJECT: something is
 * missing or has no place in an address. */
enum gs_rc fetch_address(const struct fetch_connector *c, const struct fetch_settings *connection, const char *pattern,
                         struct gs_buf *ret, struct gs_err *err) GS_MUST_CHECK;

#endif
