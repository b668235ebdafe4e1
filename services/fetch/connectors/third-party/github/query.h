/* The link form of the GitHub connector, as search syntax. Pure. */
#ifndef FETCH_GITHUB_QUERY_H
#define FETCH_GITHUB_QUERY_H

#include "services/fetch/connector.h"

#define GITHUB_QUERY_MAX   2048 /* bytes of a search; GitHub refuses much less than that with 422 */
#define GITHUB_LABELS_MAX  20
#define GITHUB_OWNER_MAX   100
#define GITHUB_NAME_MAX    100
#define GITHUB_NUMBER_TEXT 12

enum github_state { GITHUB_ALL, GITHUB_CLOSED, GITHUB_OPEN, GITHUB_STATES };

struct github_repository {
    char owner[GITHUB_OWNER_MAX + 1], name[GITHUB_NAME_MAX + 1];
};

enum gs_rc github_repository(const struct fetch_settings *link, struct github_repository *ret,
                             struct gs_err *err) GS_MUST_CHECK;

/* Whether the milestone is given by its number, as against its title. */
bool github_milestone_number(const struct fetch_settings *link, char ret_number[GITHUB_NUMBER_TEXT]);
/* Whether a milestone's number is all that narrows the issues down, so that its own counts are the answer. */
bool github_only_milestone(const struct fetch_settings *link);

/* The search for the link's issues in a state. title: the milestone's, when the link names its number; null leaves it
 * out. */
enum gs_rc github_query(const struct fetch_settings *link, const char *title, enum github_state state,
                        struct gs_buf *ret, struct gs_err *err) GS_MUST_CHECK;

#endif
