"""Which description a connector's requests are held against. A new connector is one line here: every connector over HTTP must
have one; where there is no description, a sentence that says so stands in its place."""
from dataclasses import dataclass, field


@dataclass
class Edition:
    """A description (below GOALSYNC_SPECS), and how a connector's requests fit to it."""
    description: str
    prefix: str = ""          # of the real paths, which the description leaves to its servers
    base: str = ""            # asked of this base address (for connectors with a field base_url) instead of the cases' own
    match: str = ""           # only requests to addresses that hold this; others are of another description of the connector
    authorization: str = "Bearer token"  # what the worker adds
    answers: bool = True      # False: some answers are too complex for Prism to make one up; it passes the request, then says 500
    refused: list = field(default_factory=list)  # (method, path) that the description must refuse: the judge is awake
    tolerated: list = field(default_factory=list)  # (text of a violation, why it is the description that is wrong)


VENDORS = {
    "github": [
        Edition("github/api.github.com.mock.json", match="https://api.github.com/",
                refused=[("GET", "/search/issues?per_page=1"), ("GET", "/search/issues?q=x&per_page=one")]),
        Edition("github/ghes-3.19.mock.json", base="https://api.example.com/api/v3",
                refused=[("GET", "/api/v3/search/issues?per_page=1"), ("GET", "/search/issues?q=x")]),
    ],
    "excel-online": [
        Edition("excel-online/graph-v1.0-workbook.openapi.json", prefix="/v1.0", answers=False,
                refused=[("POST", "/drives/d/items/i/workbook/createSession")]),
    ],
    "google-sheets": [
        Edition("google-sheets/sheets-v4.openapi.json", answers=False, refused=[("GET", "/v4/spreadsheets/x?includeGridData=perhaps")]),
    ],
}


def all_editions():
    return [(name, edition) for name, editions in VENDORS.items() for edition in editions if isinstance(edition, Edition)]
