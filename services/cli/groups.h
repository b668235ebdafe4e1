/* The command tables, one for each group; each is defined in the file of its group. */
#ifndef CLI_GROUPS_H
#define CLI_GROUPS_H

#include "services/cli/cli.h"

extern const struct cli_command cli_migrate_commands[];
extern const struct cli_command cli_topics_commands[];
extern const struct cli_command cli_org_commands[];
extern const struct cli_command cli_person_commands[];
extern const struct cli_command cli_integration_commands[];
extern const struct cli_command cli_goal_commands[];
extern const struct cli_command cli_connection_commands[];
extern const struct cli_command cli_link_commands[];
extern const struct cli_command cli_sync_commands[];
extern const struct cli_command cli_status_commands[];
extern const struct cli_command cli_audit_commands[];
extern const struct cli_command cli_token_commands[];
extern const struct cli_command cli_api_commands[];

#endif
