"""A real sign-in service for tests: oidc-provider (npm), a certified OpenID Connect server, behind TLS on a loopback port; and
a browser that signs in there. Its signing keys are made here, so that a test can also sign what the server never would.
"""
import base64
import hashlib
import html
import http.client
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
import urllib.parse
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

VERSION = "8.8.1"
START_SECONDS = 60
INSTALL_SECONDS = 300
AUDIENCE = "https://goals.example.com"
SECRET = "a secret & with: odd + signs%"


class Absent(Exception):
    """The server cannot be had here; the text says why in one line."""


def install():
    """Installs it once into the cache of the tests; returns its entry file."""
    cache = Path(os.environ.get("GOALSYNC_TEST_CACHE", Path.home() / ".cache" / "goalsync-test")) / f"oidc-provider-{VERSION}"
    library = cache / "node_modules" / "oidc-provider" / "lib" / "index.js"
    if not library.exists():
        npm = shutil.which("npm")
        if not npm or not shutil.which("node"):
            raise Absent("npm and node are not installed, so no certified OpenID Connect server can be had")
        cache.mkdir(parents=True, exist_ok=True)
        command = [npm, "install", "--prefix", str(cache), "--no-audit", "--no-fund", f"oidc-provider@{VERSION}"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS)
        except subprocess.TimeoutExpired:
            raise Absent("npm did not install oidc-provider in time") from None
        if done.returncode or not library.exists():
            lines = (done.stderr.strip() or "no reason given").splitlines()
            raise Absent(f"npm could not install oidc-provider: {lines[-1]}")
    return library


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


# ---- keys and tokens

def b64(data):
    return base64.urlsafe_b64encode(data.encode() if isinstance(data, str) else data).rstrip(b"=").decode()


def number(n, size=None):
    return b64(n.to_bytes(size or (n.bit_length() + 7) // 8, "big"))


class Key:
    """A signing key; algorithm: RS256, PS256 or ES256."""

    def __init__(self, kid, algorithm="RS256"):
        self.kid, self.algorithm = kid, algorithm
        self.private = ec.generate_private_key(ec.SECP256R1()) if algorithm == "ES256" else rsa.generate_private_key(65537, 2048)

    def jwk(self, private=True):
        n = self.private.private_numbers()
        common = {"kid": self.kid, "use": "sig", "alg": self.algorithm}
        if self.algorithm == "ES256":
            key = {"kty": "EC", "crv": "P-256", "x": number(n.public_numbers.x, 32), "y": number(n.public_numbers.y, 32)}
            return {**common, **key, **({"d": number(n.private_value, 32)} if private else {})}
        key = {"kty": "RSA", "n": number(n.public_numbers.n), "e": number(n.public_numbers.e)}
        secret = {"d": n.d, "p": n.p, "q": n.q, "dp": n.dmp1, "dq": n.dmq1, "qi": n.iqmp}
        return {**common, **key, **({k: number(v) for k, v in secret.items()} if private else {})}

    def sign(self, data, algorithm=None):
        algorithm = algorithm or self.algorithm
        if algorithm == "ES256":
            r, s = utils.decode_dss_signature(self.private.sign(data, ec.ECDSA(hashes.SHA256())))
            return r.to_bytes(32, "big") + s.to_bytes(32, "big")
        scheme = padding.PSS(padding.MGF1(hashes.SHA256()), 32) if algorithm == "PS256" else padding.PKCS1v15()
        return self.private.sign(data, scheme, hashes.SHA256())

    def token(self, claims, head=None, **more):
        """A token of any head, signed as this key signs."""
        head = {"alg": self.algorithm, "kid": self.kid, "typ": "at+jwt", **(head or {}), **more}
        text = b64(json.dumps(head)) + "." + b64(json.dumps(claims))
        return text + "." + b64(self.sign(text.encode()))


def claims_of(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


# ---- the server

PEOPLE = {
    "ada": {"name": "Ada Lovelace", "email": "Ada@Example.com", "email_verified": True},
    "bob": {"name": "Bob", "email": "bob@example.com", "email_verified": True},
    "eve": {"name": "Eve", "email": "victim@example.com", "email_verified": False},
    "root": {"name": "Root", "email": "root@example.com", "email_verified": True},
    "grace": {"name": "Grace", "email": "grace@example.com", "email_verified": True, "groups": ["staff", "okr-admins"]},
}


class Provider:
    """with Provider(folder, ["https://…/auth/callback"]) as provider: …"""

    def __init__(self, folder, redirect_uris, post_logout=(), userinfo_only=True):
        self.library, self.folder = install(), Path(folder)
        self.port, self.keys, self.process = free_port(), [Key("one")], None
        self.issuer = f"https://localhost:{self.port}"
        self.redirect_uris, self.post_logout, self.userinfo_only = list(redirect_uris), list(post_logout), userinfo_only
        self.client_auth = "client_secret_basic"
        self.ca = self.folder / "ca.pem"
        self.make_certificate()

    def make_certificate(self):
        def openssl(*args):
            subprocess.run(["openssl", *args], check=True, capture_output=True, cwd=self.folder)
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj",
                "/CN=goalsync test", "-keyout", "ca.key", "-out", "ca.pem")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost", "-keyout", "tls.key",
                "-out", "tls.csr")
        (self.folder / "tls.ext").write_text("subjectAltName=DNS:localhost\n")
        openssl("x509", "-req", "-in", "tls.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30", "-extfile", "tls.ext",
                "-out", "tls.pem")

    def clients(self):
        return [
            {"client_id": "goalsync", "client_secret": SECRET, "token_endpoint_auth_method": self.client_auth, "redirect_uris": self.redirect_uris,
             "post_logout_redirect_uris": self.post_logout, "response_types": ["code"], "grant_types": ["authorization_code"],
             "id_token_signed_response_alg": self.keys[0].algorithm},
            {"client_id": "machine", "client_secret": "machine", "redirect_uris": [], "response_types": [],
             "grant_types": ["client_credentials"], "id_token_signed_response_alg": self.keys[0].algorithm},
        ]

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def start(self):
        config = {"issuer": self.issuer, "port": self.port, "clients": self.clients(), "jwks": {"keys": [k.jwk() for k in self.keys]},
                  "people": PEOPLE, "audience": AUDIENCE, "algorithm": self.keys[0].algorithm, "userinfo_only": self.userinfo_only,
                  "key": str(self.folder / "tls.key"), "certificate": str(self.folder / "tls.pem")}
        (self.folder / "provider.json").write_text(json.dumps(config))
        log = self.folder / "provider.log"
        with open(log, "w", encoding="utf-8") as out:
            self.process = subprocess.Popen(["node", str(Path(__file__).with_name("oidc_provider.mjs")), str(self.library),
                                             str(self.folder / "provider.json")], stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        until = time.monotonic() + START_SECONDS
        while "listening" not in log.read_text():
            if self.process.poll() is not None or time.monotonic() > until:
                self.stop()
                raise AssertionError(f"oidc-provider did not start:\n{log.read_text()[-2000:]}")
            time.sleep(0.05)
        return self

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(20)
            self.process = None

    def rotate(self, *keys):
        """The same service with other keys."""
        self.stop()
        self.keys = list(keys)
        self.start()

    def settings(self):
        """What a gateway needs to sign people in here."""
        return {"GOALSYNC_OIDC_ISSUER": self.issuer, "GOALSYNC_OIDC_CLIENT_ID": "goalsync",
                "GOALSYNC_OIDC_CLIENT_SECRET": "" if self.client_auth == "none" else SECRET, "GOALSYNC_OIDC_AUDIENCE": AUDIENCE,
                "GOALSYNC_OIDC_CA_FILE": str(self.ca)}

    def connection(self):
        return http.client.HTTPSConnection("localhost", self.port, context=ssl.create_default_context(cafile=str(self.ca)), timeout=30)

    def access_token(self, scope="read write"):
        """A program's own, as the server makes it."""
        connection = self.connection()
        try:
            form = urllib.parse.urlencode({"grant_type": "client_credentials", "scope": scope})
            connection.request("POST", "/token", form, {"Content-Type": "application/x-www-form-urlencoded",
                                                        "Authorization": "Basic " + base64.b64encode(b"machine:machine").decode()})
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status == 200, body
            return json.loads(body)["access_token"]
        finally:
            connection.close()


# ---- the browser

class Page:
    def __init__(self, url, status, headers, body):
        self.url, self.status, self.headers, self.body = url, status, headers, body

    @property
    def location(self):
        return urllib.parse.urljoin(self.url, self.headers["Location"])

    @property
    def json(self):
        return json.loads(self.body)


class Browser:
    """Keeps cookies by host, as browsers do, and follows redirects when told. hosts: address of each origin that is not what it
    says: {"https://goals.test": ("127.0.0.1", 1234)}, spoken to without TLS, as a proxy in front would."""

    def __init__(self, provider, hosts):
        self.provider, self.hosts, self.cookies = provider, hosts, {}

    def request(self, method, url, form=None, headers=None):
        parts = urllib.parse.urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        if origin in self.hosts:
            connection = http.client.HTTPConnection(*self.hosts[origin], timeout=60)
        else:
            assert origin == self.provider.issuer, f"the browser is sent to {url}"
            connection = self.provider.connection()
        jar = self.cookies.setdefault(origin, {})
        sent = {"Cookie": "; ".join(f"{k}={v}" for k, v in jar.items())} if jar else {}
        if form is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            connection.request(method, parts.path + (f"?{parts.query}" if parts.query else ""),
                               urllib.parse.urlencode(form) if form is not None else None, {**sent, **(headers or {})})
            answer = connection.getresponse()
            page = Page(url, answer.status, answer.headers, answer.read())
        finally:
            connection.close()
        for line in page.headers.get_all("Set-Cookie") or []:
            name, _, value = line.split(";")[0].partition("=")
            gone = "Max-Age=0" in line or "1970" in line
            jar.pop(name, None) if gone else jar.update({name: value})
        return page

    def get(self, url, **more):
        return self.request("GET", url, **more)

    def begin(self, login_url):
        """To the sign-in service, without signing in; returns the redirect there."""
        return self.get(login_url)

    def sign_in_there(self, url, login):
        """From the authorization endpoint through its forms; returns the address of the callback that it leads to."""
        for _ in range(12):
            if not url.startswith(self.provider.issuer):
                return url
            page = self.get(url)
            if page.status == 200:
                action = html.unescape(re.search(rb'<form[^>]*action="([^"]+)"', page.body).group(1).decode())
                prompt = re.search(rb'name="prompt" value="([^"]+)"', page.body).group(1).decode()
                page = self.request("POST", urllib.parse.urljoin(url, action), {"prompt": prompt, "login": login, "password": "x"})
            assert page.status in (302, 303), (page.url, page.status, page.body[:500])
            url = page.location
        raise AssertionError("the sign-in service does not come to an end")


def challenge(verifier):
    return b64(hashlib.sha256(verifier.encode()).digest())
