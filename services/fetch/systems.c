/* The list of known systems. */
#include "services/fetch/systems.h"

#include <string.h>

#define MICROSOFT_TERMS "https://www.microsoft.com/licensing/terms"
#define GOOGLE_TERMS    "https://cloud.google.com/product-terms/"
#define ATLASSIAN_TERMS "https://www.atlassian.com/legal/cloud-terms-of-service"

const struct fetch_system fetch_systems[] = {
    {"redshift", "Amazon Redshift", "https://aws.amazon.com/legal/?nc1=f_cc", .category = GS_THIRD_PARTY},
    {"asana", "Asana", "https://asana.com/terms", .category = GS_THIRD_PARTY},
    {"azure-data-explorer", "Azure Data Explorer", MICROSOFT_TERMS, .category = GS_CROSS_BOUNDARY},
    {"azure-devops", "Azure DevOps", MICROSOFT_TERMS, .category = GS_CROSS_BOUNDARY},
    {"bigquery", "BigQuery", GOOGLE_TERMS, .category = GS_THIRD_PARTY},
    {"box", "Box", "https://www.box.com/legal/", .category = GS_THIRD_PARTY},
    {"domo", "Domo", "https://www.domo.com/company/service-terms", .category = GS_THIRD_PARTY},
    {"dynamics", "Dynamics 365", MICROSOFT_TERMS, .category = GS_CROSS_BOUNDARY},
    {"excel-online", "Excel Online", MICROSOFT_TERMS, .category = GS_IN_BOUNDARY},
    {"favro", "Favro", "https://help.favro.com/en/collections/362206-pricing-privacy-and-terms",
     .category = GS_THIRD_PARTY},
    {"github", "GitHub", "https://docs.github.com/en/site-policy", .category = GS_THIRD_PARTY},
    {"gitlab", "GitLab", "https://about.gitlab.com/terms/", .category = GS_THIRD_PARTY},
    {"google-sheets", "Google Sheets", GOOGLE_TERMS, .category = GS_THIRD_PARTY},
    {"hubspot", "HubSpot", "https://legal.hubspot.com/terms-of-service", .category = GS_THIRD_PARTY},
    {"jira", "Jira", ATLASSIAN_TERMS, .category = GS_THIRD_PARTY},
    {"looker", "Looker", GOOGLE_TERMS, .category = GS_THIRD_PARTY},
    {"mode", "Mode", "https://mode.com/tos/", .category = GS_THIRD_PARTY},
    {"monday", "monday.com", "https://monday.com/l/", .category = GS_THIRD_PARTY},
    {"mssql", "MS SQL Server", MICROSOFT_TERMS, .category = GS_CROSS_BOUNDARY},
    {"mysql", "MySQL", "https://www.mysql.com/about/legal/", .category = GS_THIRD_PARTY},
    {"planner", "Planner", MICROSOFT_TERMS, .category = GS_IN_BOUNDARY},
    {"postgresql", "PostgreSQL", "https://www.postgresql.org/about/policies/", .category = GS_THIRD_PARTY},
    {"power-bi", "Power BI", MICROSOFT_TERMS, .category = GS_CROSS_BOUNDARY, .sharing = FETCH_SHARE_NEVER},
    {"projectplace", "ProjectPlace", "https://www.planview.com/legal/legal-terms/", .category = GS_THIRD_PARTY},
    {"salesforce", "Salesforce", "https://www.salesforce.com/company/legal/", .category = GS_THIRD_PARTY},
    {"slack", "Slack", "https://slack.com/legal", .category = GS_THIRD_PARTY, .chat = true},
    {"smartsheet", "Smartsheet", "https://www.smartsheet.com/legal", .category = GS_THIRD_PARTY,
     .sharing = FETCH_SHARE_ALWAYS},
    {"snowflake", "Snowflake", "https://www.snowflake.com/legal", .category = GS_THIRD_PARTY},
    {"tableau", "Tableau", "https://www.tableau.com/legal", .category = GS_THIRD_PARTY},
    {"teams", "Teams", MICROSOFT_TERMS, .category = GS_IN_BOUNDARY, .chat = true},
    {"trello", "Trello", ATLASSIAN_TERMS, .category = GS_THIRD_PARTY},
    {"zapier", "Zapier", "https://zapier.com/legal", .category = GS_THIRD_PARTY},
    {"zendesk", "Zendesk", "https://www.zendesk.com/company/agreements-and-terms", .category = GS_THIRD_PARTY},
    {0},
};

const struct fetch_system *fetch_systems_find(const char *name)
{
    for (const struct fetch_system *s = fetch_systems; s->name; s++)
        if (strcmp(s->name, name) == 0)
            return s;
    return NULL;
}
