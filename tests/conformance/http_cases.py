"""What every connector over HTTP goes through: its own conversations, replayed over TLS and then perverted in every way that
vendors, proxies and networks have.

A case is a function that yields plays. A play is one fetch by the worker's code (goalsync-fetch-once) against one script, and
a judgement of what came out. Where a case has nothing to play, it says why by raising NotApplicable.
"""
import base64
import copy
import datetime
import email.utils
import json
import re

from vendor import Answer

TOKEN = "conformance-token"
BODY_MAX = 1024 * 1024        # GOALSYNC_FETCH_BODY_MAX of the plays
BOMB = 32 * 1024 * 1024       # bytes that a small answer becomes when it is decompressed
TOKENS_MAX = 24               # places of one body that are replaced
MAIN_MAX = 3                  # conversations of a connector that are perverted; tests/cases breaks all of them
CUTS_MAX = 8                  # places of one body at which it is cut; tests/cases cuts at every byte
PAGING = 8                    # a connector that may ask more often than this must show how by a case of pages
DEADLINE_MS = 20000           # of plays that end by themselves
SHORT_MS = 700                # of plays that do not
SECOND = 1_000_000
LONGEST_WAIT_US = 24 * 3600 * SECOND  # FETCH_WAIT_MAX_US


class NotApplicable(Exception):
    pass


# ---------------------------------------------------------------- conversations

class Conversation:
    """A case as a script: its answers in their order, each request compared with what the case expects."""

    def __init__(self, case, alter=None):
        self.case, self.alter = case, alter
        self.requests, self.wrong = [], []

    def __call__(self, request, connection):
        i = len(self.requests)
        self.requests.append(request)
        exchanges = self.case["exchanges"]
        if i < len(exchanges):
            self.compare(exchanges[i], request)
        else:
            self.wrong.append(f"request {i + 1} is one more than the case has")
        answer = answer_of(exchanges[min(i, len(exchanges) - 1)])
        if self.alter:
            self.alter(i, answer, connection, request)
        else:
            connection.send(answer)

    def compare(self, x, request):
        def say(what, want, got):
            if want != got:
                self.wrong.append(f"request {len(self.requests)}: {what}: wanted {want!r}, asked {got!r}")

        say("method", x["method"], request.method)
        say("path", re.sub(r"^[a-z]+://[^/]*", "", x["url"]), request.path)
        say("query", [tuple(q) for q in x["queries"]], request.queries)
        for name, value in x["headers"]:
            say(name, value, request.header(name))
        if x["sent"] is not None:
            say("body", x["sent"], request.body.decode())
        say("who asks", "goalsync", (request.header("User-Agent") or "").partition("/")[0])
        say("the secret is in no address", False, holds_secret(request.target))
        if self.case["signs_in"]:
            say("the secret is sent", True, carries_secret(request))


BASIC = base64.b64encode(f"conformance:{TOKEN}".encode()).decode()


def holds_secret(text):
    return TOKEN in text or BASIC in text


def carries_secret(request):
    return any(holds_secret(v) for _, v in request.headers)


def answer_of(x):
    return Answer(x["status"], [tuple(h) for h in x["reply_headers"]], x["body"])


class Play:
    def __init__(self, case, script, judge, deadline_ms=DEADLINE_MS, certificate="good", scheme="https", group="", what="", auth=""):
        self.case, self.script, self.judge, self.what = case, script, judge, what
        self.auth = auth  # the name of a way to sign in; "": the usual one
        self.deadline_ms, self.certificate, self.scheme, self.group = deadline_ms, certificate, scheme, group


# ---------------------------------------------------------------- judgements: None, or what is wrong

def said(result):
    value = " ".join(f"{r['value']}{' %' if r['percent'] else ''}" if r["outcome"] == "ok" else f"{r['outcome']}: {r['error']}"
                     for r in result["results"])
    return f"{result['outcome']} {value or result['error']}"


def as_the_case_says(play, result):
    """The case's own outcome, target by target, by exactly its requests."""
    if play.script.wrong:
        return play.script.wrong[0]
    if len(play.script.requests) != len(play.case["exchanges"]):
        return f"{len(play.script.requests)} requests instead of {len(play.case['exchanges'])}"
    return outcomes_differ(play.case, result)


def outcomes_differ(case, result):
    wanted = case["outcomes"]
    for i in range(len(case["links"])):
        want = wanted[i if len(wanted) > 1 else 0]
        got = result["results"][i] if result["outcome"] == "ok" else {**result, "value": "0", "percent": False, "seen": 0}
        same = got["outcome"] == want["outcome"] and want["text"] in got["error"]
        if want["outcome"] == "ok":
            same = same and got["value"] == want["value"] and got["percent"] == want["percent"]
            same = same and want["seen"] in (-1, got["seen"])
        if want["until_us"]:
            same = same and result["retry_at_us"] == want["until_us"]
        if not same:
            return f"link {i + 1}: wanted {want['outcome']} {want['value'] or want['text']}, got {said(result)}"
    return None


def no_value(*outcomes):
    """No target has a value, and a sentence says why; with outcomes: one of these. Of several links those whose own answers came
    may have their own values, but not all of them."""
    def judge(play, result):
        if result["outcome"] == "ok":
            bad = [r for r in result["results"] if r["outcome"] != "ok"]
            if not bad:
                return f"a value came out: {said(result)}"
            for r in bad:
                if not r["error"]:
                    return "a refusal without a reason"
                if outcomes and r["outcome"] not in outcomes:
                    return f"wanted {' or '.join(outcomes)}, got {said(result)}"
            return no_other_value(play, result)
        if not result["error"]:
            return "a refusal without a reason"
        if outcomes and result["outcome"] not in outcomes:
            return f"wanted {' or '.join(outcomes)}, got {said(result)}"
        return None
    return judge


def no_other_value(play, result):
    """What was broken need not matter to the connector; but then the value is the case's own."""
    wanted = play.case["outcomes"]
    for i, r in enumerate(result["results"]):
        want = wanted[i if len(wanted) > 1 else 0]
        if r["outcome"] == "ok" and (r["value"], r["percent"]) != (want["value"], want["percent"]):
            return f"another value came out: {said(result)}"
    return None if result["outcome"] == "ok" or result["error"] else "a refusal without a reason"


def waits(until_us):
    def judge(play, result):
        if result["outcome"] != "waiting":
            return f"wanted waiting, got {said(result)}"
        if until_us and result["retry_at_us"] != until_us:
            return f"waits until {result['retry_at_us']} instead of {until_us} (now {play.case['now_us']})"
        if result["retry_at_us"] <= play.case["now_us"]:
            return "waits until the past"
        return None
    return judge


def both(*judges):
    return lambda play, result: next((w for w in (j(play, result) for j in judges) if w), None)


# ---------------------------------------------------------------- what a connector brings

class Subject:
    """A connector and its cases. `main` are the conversations that are perverted."""

    def __init__(self, connector, cases):
        self.connector = connector
        for c in cases:
            c["signs_in"] = connector["signs_in"]
        self.cases = [c for c in cases if c["refused"] is None and c["exchanges"] and not any(x["lost"] for x in c["exchanges"])]
        self.good = [c for c in self.cases if all(o["outcome"] == "ok" for o in c["outcomes"])]
        self.bad = [c for c in self.cases if c not in self.good]
        self.main = self.choose()

    def choose(self):
        """The shortest conversation that ends in values, the longest, and between them those that ask other paths."""
        def weight(c):
            return len(c["exchanges"]), sum(len(x["body"]) for x in c["exchanges"])

        kinds = {}
        for c in sorted(self.good, key=weight):
            kinds.setdefault(tuple(x["method"] + re.sub(r"[a-z]+://[^/]*", "", x["url"]) for x in c["exchanges"]), c)
        found = list(kinds.values())
        longest = [c for c in found[1:] if c is found[-1] and len(c["exchanges"]) > 1]
        between = [c for c in found[1:] if c not in longest]
        return (found[:1] + longest + between)[:MAIN_MAX]

    def own_outcomes(self, status):
        """What the connector's own cases say of a status, beside the common meaning of it."""
        return {c["outcomes"][0]["outcome"] for c in self.bad if c["exchanges"][-1]["status"] == status}

    def perverted(self, alter, judge, **more):
        """Plays in which one answer of a conversation is replaced: alter(answer, connection, request)."""
        for case in self.main:
            for k in range(len(case["exchanges"])):
                def at_k(i, answer, connection, request, k=k):
                    if i >= k:
                        alter(answer, connection, request)
                    else:
                        connection.send(answer)
                yield Play(case, Conversation(case, at_k), judge, what=f"{case['case']}, answer {k + 1}", **more)

    def answered(self, make, judge, **more):
        """The same for what is sent whole: make(answer) returns the Answer."""
        yield from self.perverted(lambda answer, connection, _: connection.send(make(answer)), judge, **more)


CASES = []


def case(name):
    def add(fn):
        CASES.append((name, fn))
        return fn
    return add


def replaced(**fields):
    def make(answer):
        for name, value in fields.items():
            setattr(answer, name, value.encode() if name == "body" and isinstance(value, str) else value)
        return answer
    return make


# ---------------------------------------------------------------- as it should be

@case("success")
def success(s):
    for c in s.good:
        yield Play(c, Conversation(c), as_the_case_says, what=c["case"])


@case("own refusals")
def own_refusals(s):
    if not s.bad:
        raise NotApplicable("no case of its own ends without a value")
    for c in s.bad:
        yield Play(c, Conversation(c), as_the_case_says, what=c["case"])


@case("requests as declared")
def requests_as_declared(s):
    most = s.connector["max_exchanges"]

    def within(play, result):
        if len(play.script.requests) != result["exchanges"]:
            return f"{len(play.script.requests)} requests came, {result['exchanges']} are told"
        if result["exchanges"] > most:
            return f"{result['exchanges']} requests, {most} are declared"
        return None

    for c in s.main:
        yield Play(c, Conversation(c), within, what=c["case"])


@case("budgets as declared")
def budgets_as_declared(s):
    """Each request is taken from the budget that the case says (`spends`), and every budget with a name has such a case."""
    names = [b["name"] for b in s.connector["budgets"] if b["name"]]
    if not s.connector["budgets"]:
        raise NotApplicable("the source documents none")
    said = {x["spends"] for c in s.cases for x in c["exchanges"]}
    if set(names) - said and len(names) > 1:
        raise AssertionError(f"no case says by \"spends\" which request is taken from {', '.join(sorted(set(names) - said))}")

    def spent(play, result):
        for i, (x, got) in enumerate(zip(play.case["exchanges"], result["budgets"])):
            if (x["spends"] and got != x["spends"]) or (got is None and names):
                return f"request {i + 1} is taken from {got}, not from {x['spends'] or 'any of ' + ', '.join(names)}"
        return None if len(result["budgets"]) == len(play.script.requests) else "not every request is taken from a budget"

    for c in [*s.main, *(c for c in s.cases if c not in s.main and any(x["spends"] for x in c["exchanges"]))]:
        yield Play(c, Conversation(c), spent, what=c["case"])


@case("each way to sign in")
def ways_to_sign_in(s):
    """A token, a key in a header of the vendor's, user and password: each is sent with every request. Ways that first need
    somebody's consent, or an exchange of keys, have a token here."""
    if not s.connector["signs_in"]:
        raise NotApplicable("it needs no secret")

    def sent(play, result):
        if not play.script.requests or not all(map(carries_secret, play.script.requests)):
            return "a request came without the secret"
        return outcomes_differ(play.case, result)

    for auth in s.connector["auths"]:
        for c in s.main:
            yield Play(c, Conversation(c), sent, auth=auth["name"], what=f"{auth['name']}, {c['case']}")


@case("several links in one")
def batches(s):
    found = [c for c in s.good if len(c["links"]) > 1]
    if not found and s.connector["batches"]:
        raise AssertionError("it has a batch key, but no case with \"another\" link that ends in values")
    if not found:
        raise NotApplicable("links are asked one by one")
    for c in found:
        keys = set(c["batch_keys"])
        if len(keys) != 1:
            raise AssertionError(f"{c['case']}: links that are to be answered together have {len(keys)} batch keys")
        yield Play(c, Conversation(c), as_the_case_says, what=c["case"])


@case("chunked, or until the end")
def framings(s):
    for framing in ("chunked", "close"):
        yield from s.answered(replaced(framing=framing), no_other_value_but_one)


def no_other_value_but_one(play, result):
    return outcomes_differ(play.case, result)


@case("compressed")
def compressed(s):
    yield from s.answered(replaced(encoding="gzip"), no_other_value_but_one)


@case("slow, but in time")
def slow(s):
    def trickle(answer, connection, _):
        head, body = answer.wire()
        for i in range(0, len(head), 40):
            connection.raw(head[i:i + 40])
        step = max(1, len(body) // 16)
        for i in range(0, len(body), step):
            connection.raw(body[i:i + step])
    yield from s.perverted(trickle, no_other_value_but_one)


ODD = ["..", ".", "../../zz", "a?zz=1", "a&zz=1", "a#zz", "a;zz", "a%2e%2e%2fzz", "a\\zz", 'a"zz', "a'zz", "a\r\nX-Zz: 1", "a zz", "\u00e4\u2028zz"]


@case("oddly typed")
def oddly_typed(s):
    """What people type in a link's form is refused, or stays one part of the address it stands in: no other path, no further
    key, no further header."""
    def stayed(play, result):
        for request in play.script.requests:
            paths = [re.sub(r"^[a-z]+://[^/]*", "", x["url"]) for x in play.case["exchanges"]]
            if not any(p.count("/") == request.path.count("/") or play.slashes for p in paths):
                return f"another path was asked: {request.target}"
            if any(part in ("..", ".") for part in request.path.replace("%2E", ".").replace("%2e", ".").split("/")):
                return f"the path has dots as parts: {request.target}"
            keys = {n for x in play.case["exchanges"] for n, _ in x["queries"]}
            if any(n == "zz" and n not in keys for n, _ in request.queries) or request.header("X-Zz") is not None:
                return f"what was typed became a key or a header of its own: {request.target}"
        return None if result["outcome"] == "ok" or result["error"] else "a refusal without a reason"

    for c in s.main:
        for name in c["links"][0]:
            for odd in ODD:
                typed = copy.deepcopy(c)
                typed["links"] = [{**typed["links"][0], name: odd}]
                play = Play(typed, Conversation(typed), stayed, what=f"{c['case']}, {name} is {odd!r}")
                play.slashes = "/" in odd
                yield play


# ---------------------------------------------------------------- pages

def pages_of(s):
    found = [c for c in s.good if c["pages"]]
    if found:
        return found
    if s.connector["max_exchanges"] > PAGING:
        raise AssertionError(f"it may ask {s.connector['max_exchanges']} times, but no case of its own has the word \"pages\"")
    raise NotApplicable("it asks for no pages")


@case("two pages")
def two_pages(s):
    for c in pages_of(s):
        if len(c["exchanges"]) < 2:
            raise AssertionError(f"{c['case']} has the word \"pages\" and one answer only")
        yield Play(c, Conversation(c), as_the_case_says, what=c["case"])


@case("endless paging")
def endless(s):
    """The last answer but one, which leads to the next request, comes again and again."""
    for c in pages_of(s):
        again = copy.deepcopy(c)
        again["exchanges"] = again["exchanges"][:-1]
        ended = both(no_value(), lambda play, result: None if len(play.script.requests) <= s.connector["max_exchanges"]
                     else f"{len(play.script.requests)} requests, {s.connector['max_exchanges']} are declared")
        yield Play(again, Conversation(again), ended, what=c["case"])


@case("next page elsewhere")
def next_elsewhere(s):
    """Where an answer names the next page's address, another host stands in it: the secret must not go there."""
    plays = []
    for c in pages_of(s):
        origin = re.match(r"[a-z]+://[^/]*", c["exchanges"][0]["url"])[0]
        lead = [k for k, x in enumerate(c["exchanges"][:-1]) if origin in x["body"].replace("\\/", "/")]
        for k in lead:
            def alter(i, answer, connection, _, k=k, origin=origin):
                if i == k:
                    body = answer.body.decode().replace("\\/", "/").replace(origin, "https://elsewhere.example")
                    answer = replaced(body=body)(answer)
                connection.send(answer)

            def stayed(play, result, k=k):
                return None if len(play.script.requests) <= k + 1 else "the address was followed"
            plays.append(Play(c, Conversation(c, alter), both(stayed, no_value("rejected")), what=f"{c['case']}, answer {k + 1}"))
    if not plays:
        raise NotApplicable("no answer names the next page's address")
    return plays


# ---------------------------------------------------------------- bodies

@case("empty")
def empty(s):
    for body in ("", " \n"):
        yield from s.answered(replaced(body=body), no_value())
    yield from s.answered(replaced(status=204, body="", framing="close"), no_value())


@case("wrong type")
def wrong_type(s):
    for body in ("null", "true", "7", '"7"', "[]", "[7]", "{}", '{"a":[]}', "\ufeff", "7;7"):
        yield from s.answered(replaced(body=body), no_value())
    yield from tokens_replaced(s, ['"7"', "null", "[7]", "{}"])


@case("HTML in 200")
def html(s):
    for body in ("<!DOCTYPE html><html><body>Sign in to continue</body></html>", "<html><h1>502 Bad Gateway</h1></html>"):
        yield from s.answered(replaced(body=body, content_type="text/html"), no_value())


@case("error in 200")
def error_in_200(s):
    for body in ('{"error":{"code":500,"message":"Internal error"}}', '{"errors":[{"message":"Something went wrong"}]}',
                 '{"message":"Not Found","status":"404"}', '{"success":false,"error":"invalid_auth"}'):
        yield from s.answered(replaced(body=body), no_value())


@case("broken text")
def broken_text(s):
    yield from s.answered(lambda a: replaced(body=a.body.replace(b'"', b'"\xff\xfe', 1))(a), no_other_value)
    yield from s.answered(lambda a: replaced(body=b"\x00" + a.body)(a), no_value())


@case("deep nesting")
def deep(s):
    """All of the answer, and one member more that is nested deeply."""
    def make(answer):
        body, nested = answer.body.rstrip(), b"[" * 500 + b"]" * 500
        body = body[:-1] + (b',"zz":' if body.endswith(b"}") else b",") + nested + body[-1:]
        return replaced(body=body)(answer)
    yield from s.answered(make, no_value())
    yield from s.answered(replaced(body="[" * 100000), no_value())


def tokens_of(body):
    """Numbers and names outside of strings: (from, to)."""
    text = body.decode()
    inside = [m.span() for m in re.finditer(r'"(?:[^"\\]|\\.)*"', text)]
    found = [m.span() for m in re.finditer(r"[-+.\w]+", text) if not any(a <= m.start() < b for a, b in inside)]
    step = max(1, -(-len(found) // TOKENS_MAX))
    return text, found[::step]


def tokens_replaced(s, others):
    for c in s.main:
        for k, x in enumerate(c["exchanges"]):
            text, places = tokens_of(x["body"].encode())
            for begin, end in places:
                for other in others:
                    def alter(i, answer, connection, _, k=k, body=text[:begin] + other + text[end:]):
                        connection.send(replaced(body=body)(answer) if i == k else answer)
                    yield Play(c, Conversation(c, alter), no_other_value, what=f"{c['case']}, {text[begin:end]} -> {other[:20]}")


@case("huge number")
def huge(s):
    small = [] if any(c["any_number"] for c in s.main) else ["1e-30"]  # a floating point number that is kept as 0
    yield from tokens_replaced(s, ["1e400", "-1e400", "9" * 41, *small])


@case("NaN")
def nan(s):
    yield from tokens_replaced(s, ["NaN", "Infinity", "-Infinity", "nan"])


@case("duplicate keys")
def duplicate_keys(s):
    """A second member of the same name behind the first, with another plausible value: the value is the case's own, or none."""
    plays = []
    for c in s.main:
        for k, x in enumerate(c["exchanges"]):
            text = x["body"]
            for m in list(re.finditer(r'"([\w.@]+)"\s*:\s*("[^"\\]*"|\d+)(?=\s*[,}])', text))[:TOKENS_MAX]:
                other = f'"{m[2][1:-1]}7"' if m[2][0] == '"' else str(int(m[2]) + 1)

                def alter(i, answer, connection, _, k=k, body=f'{text[:m.end()]},"{m[1]}":{other}{text[m.end():]}'):
                    connection.send(replaced(body=body)(answer) if i == k else answer)
                plays.append(Play(c, Conversation(c, alter), no_other_value, what=f"{c['case']}, {m[1]} twice"))
    if not plays:
        raise NotApplicable("its answers have no members of plain values")
    return plays


@case("cut at any byte")
def cut(s):
    for c in s.main:
        for k, x in enumerate(c["exchanges"]):
            # What follows the value's last byte adds nothing to it.
            body = x["body"].encode().rstrip()
            for at in sorted({len(body) * i // CUTS_MAX for i in range(CUTS_MAX)} | {len(body) - 1}):
                for framing in ("length", "chunked", "close"):
                    def alter(i, answer, connection, _, k=k, at=at, framing=framing):
                        answer.framing = framing
                        if i < k:
                            connection.send(answer)
                            return
                        head, wire = answer.wire()
                        connection.raw(head + wire[:at])
                        connection.close()
                    yield Play(c, Conversation(c, alter), no_value(), what=f"{c['case']}, {framing}, {at} bytes of answer {k + 1}")


@case("oversized")
def oversized(s):
    """All of the answer, and then more than may be read: harmless blanks, so that nothing but the ceiling refuses it."""
    yield from s.answered(lambda a: replaced(body=a.body + b" " * BODY_MAX)(a), no_value("rejected"))


@case("gzip bomb")
def bomb(s):
    yield from s.answered(lambda a: replaced(body=a.body + b" " * BOMB, encoding="gzip")(a), no_value("rejected"))


@case("gzip broken")
def gzip_broken(s):
    def alter(answer, connection, _):
        answer.encoding, answer.framing = "gzip", "close"
        head, body = answer.wire()
        connection.raw(head + body[:len(body) // 2] + b"\x00" * 8)
        connection.close()
    yield from s.perverted(alter, no_value())


@case("oversized headers")
def headers(s):
    many = [(f"X-Many-{i}", "x" * 1000) for i in range(200)]
    yield from s.answered(lambda a: replaced(headers=a.headers + many)(a), no_value("rejected", "retry"))


# ---------------------------------------------------------------- statuses

def refused(status, usual):
    def fn(s):
        yield from s.answered(replaced(status=status), no_value(*usual, *s.own_outcomes(status)))  # what else were a value
        for body in ('{"message":"no"}', '{"error":{"code":"x","message":"no"}}', "", "<html>no</html>"):
            yield from s.answered(replaced(status=status, body=body), no_value(*usual, *s.own_outcomes(status)))
    return fn


for _status, _usual in ((400, ("rejected",)), (401, ("denied",)), (403, ("denied",)), (404, ("gone",)),
                        (409, ("rejected", "retry")), (410, ("gone",)), (500, ("retry",)), (502, ("retry",)), (503, ("retry",))):
    case(str(_status))(refused(_status, _usual))


def limited(headers_of, body='{"message":"slow down"}', status=429, after_us=None):
    """An answer with these headers: waiting until exactly after_us from now, or until some time ahead."""
    def fn(s):
        for c in s.main:
            now_us = c["now_us"]
            until = now_us + after_us if after_us else None
            for k in range(len(c["exchanges"])):
                def alter(i, answer, connection, _, k=k, now_us=now_us):
                    connection.send(answer if i < k else Answer(status, headers_of(now_us), body))
                yield Play(c, Conversation(c, alter), waits(until), what=f"{c['case']}, answer {k + 1}")
    return fn


def http_date(us):
    return email.utils.format_datetime(datetime.datetime.fromtimestamp(us // SECOND, datetime.timezone.utc), usegmt=True)


def reset_headers(now_us):
    return [("X-RateLimit-Limit", "30"), ("X-RateLimit-Remaining", "0"), ("X-RateLimit-Reset", str((now_us + 90 * SECOND) // SECOND))]


case("429, seconds")(limited(lambda now: [("Retry-After", "7")], after_us=7 * SECOND))
case("429, fraction")(limited(lambda now: [("Retry-After", "2.5")], after_us=2_500_000))
case("429, date")(limited(lambda now: [("Retry-After", http_date(now + 180 * SECOND))], after_us=180 * SECOND))
case("429, rate headers")(limited(reset_headers, after_us=90 * SECOND))
case("429, nothing said")(limited(lambda now: [], body=""))
case("429, nonsense")(limited(lambda now: [("Retry-After", "soon"), ("X-RateLimit-Reset", "-1")]))
case("429, too far ahead")(limited(lambda now: [("Retry-After", "99999999")], after_us=LONGEST_WAIT_US))
case("403 as a limit")(limited(lambda now: [("Retry-After", "7")], status=403, after_us=7 * SECOND))
case("403 as a limit, headers")(limited(reset_headers, status=403, after_us=90 * SECOND))


@case("429, its own way")
def own_limits(s):
    found = [c for c in s.bad if c["outcomes"][0]["outcome"] == "waiting"]
    if not found:
        raise AssertionError("no case of its own shows how the vendor says that a limit is reached (wait-until)")
    for c in found:
        yield Play(c, Conversation(c), as_the_case_says, what=c["case"])


@case("503 with a time")
def unavailable(s):
    for c in s.main:
        until = c["now_us"] + 120 * SECOND

        def later(play, result, until=until):
            return None if result["retry_at_us"] == until else f"is tried again at {result['retry_at_us']} instead of {until}"

        def alter(i, answer, connection, _):
            connection.send(Answer(503, [("Retry-After", "120")], "later"))
        yield Play(c, Conversation(c, alter), both(no_value("retry", "waiting"), later), what=c["case"])


# ---------------------------------------------------------------- the network

@case("silent")
def silent(s):
    yield from s.perverted(lambda answer, connection, _: connection.await_end(), no_value("retry"), deadline_ms=SHORT_MS)


@case("stalled in the body")
def stalled(s):
    def alter(answer, connection, _):
        head, body = answer.wire()
        connection.raw(head + body[:len(body) // 2])
        connection.await_end()
    yield from s.perverted(alter, no_value("retry"), deadline_ms=SHORT_MS)


@case("no HTTP")
def garbage(s):
    def alter(answer, connection, _):
        connection.raw(b"\x00\x01 7 is the answer\r\n\r\n")
        connection.close()
    yield from s.perverted(alter, no_value("retry", "rejected"))


@case("gone before the answer")
def gone(s):
    yield from s.perverted(lambda answer, connection, _: connection.close(), no_value("retry"))


# ---------------------------------------------------------------- HTTP/2, by nginx before the script

def over_http2(*more):
    """Plays again what other cases make, over HTTP/2."""
    def fn(s):
        def played(vendor):
            if not vendor.http2.process:
                raise NotApplicable("nginx is not installed")
            for make in more:
                for play in make(s):
                    play.scheme = "http2"
                    play.judge = both(spoken, play.judge)
                    yield play
        return played
    return fn


def spoken(play, result):
    other = {r.header("X-Spoken") for r in play.script.requests} - {"HTTP/2.0"}
    return f"{other} was spoken instead of HTTP/2" if other else None


def cut_in_the_middle(s):
    def alter(answer, connection, _):
        head, body = answer.wire()
        connection.raw(head + body[:len(body) // 2])
        connection.close()
    yield from s.perverted(alter, no_value("retry"))


case("HTTP/2")(over_http2(success))
case("HTTP/2: limits")(over_http2(limited(lambda now: [("Retry-After", "7")], after_us=7 * SECOND), limited(reset_headers, after_us=90 * SECOND)))
case("HTTP/2: cut, stalled")(over_http2(cut_in_the_middle, stalled))
case("HTTP/2: oversized, bomb")(over_http2(oversized, bomb))


# ---------------------------------------------------------------- walls

class Elsewhere:
    """Where a request must not lead."""

    def __init__(self, conversation):
        self.requests, self.conversation = [], conversation

    def __call__(self, request, connection):
        self.requests.append(request)
        self.conversation(request, connection)


def redirects(s, target):
    """target(vendor, conversation) -> where the first answer sends the client; the true answer waits there."""
    def fn(vendor):
        for c in s.main[:1]:
            for status in (301, 302, 303, 307, 308):
                other = Elsewhere(Conversation(c))
                where = target(vendor, other)

                def alter(i, answer, connection, request, status=status, where=where):
                    connection.send(Answer(status, [("Location", where + request.target)], "moved"))

                def stayed(play, result, other=other):
                    return "the redirect was followed" + (" with the secret" if any(map(carries_secret, other.requests)) else "") \
                        if other.requests or len(play.script.requests) > 1 else None

                yield Play(c, Conversation(c, alter), both(stayed, no_value("rejected", "gone", "denied", "retry")), what=f"{status}")
    return fn


@case("redirect within the host")
def redirect_in(s):
    return redirects(s, lambda vendor, other: "/again")


@case("redirect to another host")
def redirect_out(s):
    return redirects(s, lambda vendor, other: vendor.host(other))


@case("redirect to no TLS")
def redirect_plain(s):
    return redirects(s, lambda vendor, other: vendor.host(other, scheme="http"))


def bad_tls(kind):
    def fn(s):
        def unasked(play, result):
            return "a request was sent to it" if play.script.requests else None
        for c in s.main[:1]:
            yield Play(c, Conversation(c), both(unasked, no_value("retry", "rejected")), certificate=kind)
    return fn


case("TLS: wrong host")(bad_tls("wrong host"))
case("TLS: expired")(bad_tls("expired"))
case("TLS: self-signed")(bad_tls("self-signed"))


@case("no TLS")
def no_tls(s):
    for c in s.main[:1]:
        yield Play(c, Conversation(c), both(unasked, no_value("rejected")), scheme="http")


@case("address inside")
def inside(s):
    for c in s.main[:1]:
        yield Play(c, Conversation(c), both(unasked, no_value("rejected")), group="inside")


def unasked(play, result):
    return "a request was sent" if play.script.requests else None


@case("secret repeated")
def echo(s):
    """A source, or a proxy before it, repeats what it was sent: it must not come out again."""
    if not s.connector["signs_in"]:
        raise NotApplicable("it needs no secret")

    def alter(answer, connection, request):
        sent = "; ".join(v for _, v in request.headers if holds_secret(v))
        connection.send(Answer(400, [], json.dumps({"message": f"no: {sent}", "error": {"message": f"no: {sent}"}})))

    def hidden(play, result):
        return "the secret came out again" if holds_secret(json.dumps(result)) else None
    yield from s.perverted(alter, both(hidden, no_value()))
