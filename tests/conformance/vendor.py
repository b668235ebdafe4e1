"""A vendor of our own, played by a script: real sockets and TLS, answers as ordered. A stand-in, because no real vendor stalls,
lies or breaks off on command.

Each play has a host name of its own below conform.localhost (all of them lead to this machine), so that one server tells
many plays apart, also those under way at the same time, and can show each another certificate.
"""
import datetime
import gzip
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
import urllib.parse
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DOMAIN = "conform.localhost"
REQUEST_MAX = 4 * 1024 * 1024
LISTEN = 2000
START_SECONDS = 20


# ---------------------------------------------------------------- certificates

def _write(folder, name, key, chain):
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = Path(folder) / f"{name}.pem"
    path.write_bytes(pem + b"".join(c.public_bytes(serialization.Encoding.PEM) for c in chain))
    return path


def _certificate(subject, key, issuer, issuer_key, names=(), days=(-1, 30), authority=False):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    now = datetime.datetime.utcnow()
    made = (x509.CertificateBuilder().subject_name(name).issuer_name(issuer.subject if issuer else name)
            .public_key(key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(now + datetime.timedelta(days=days[0])).not_valid_after(now + datetime.timedelta(days=days[1]))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True))
    if names:
        made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False)
    return made.sign(issuer_key or key, hashes.SHA256())


def certificates(folder, names=(f"*.{DOMAIN}",)):
    """Writes a CA and a certificate of every kind; returns {kind: path}, "ca" among them."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = _certificate("conformance CA", ca_key, None, None, authority=True)
    made = {
        "good": _certificate("vendor", key, ca, ca_key, names),
        "wrong host": _certificate("another vendor", key, ca, ca_key, ["another.example"]),
        "expired": _certificate("vendor of old", key, ca, ca_key, names, days=(-30, -1)),
        "self-signed": _certificate("vendor alone", key, None, None, names),
    }
    paths = {kind: _write(folder, kind.replace(" ", "-"), key, [c]) for kind, c in made.items()}
    paths["ca"] = Path(folder) / "ca.crt"
    paths["ca"].write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    return paths


# ---------------------------------------------------------------- HTTP

class Request:
    def __init__(self, method, target, headers, body):
        self.method, self.target, self.headers, self.body = method, target, headers, body
        self.path, _, query = target.partition("?")
        self.queries = urllib.parse.parse_qsl(query, keep_blank_values=True) if query else []

    def header(self, name):
        return next((v for n, v in self.headers if n.lower() == name.lower()), None)


class Answer:
    """What is sent back: status, headers, body, and how the body is framed and encoded."""

    def __init__(self, status=200, headers=(), body=b"", framing="length", encoding=None, content_type="application/json"):
        self.status, self.headers, self.framing, self.encoding = status, list(headers), framing, encoding
        self.body = body.encode() if isinstance(body, str) else body
        self.content_type = content_type

    def wire(self):
        """(head, body) as bytes."""
        body = gzip.compress(self.body, 6) if self.encoding == "gzip" else self.body
        headers = [("Content-Type", self.content_type)] if not any(n.lower() == "content-type" for n, _ in self.headers) else []
        headers += self.headers
        if self.encoding:
            headers.append(("Content-Encoding", self.encoding))
        if self.framing == "chunked":
            headers.append(("Transfer-Encoding", "chunked"))
            pieces = [body[i:i + 1000] for i in range(0, len(body), 1000)]
            body = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"
        elif self.framing == "close":
            headers.append(("Connection", "close"))
        else:
            headers.append(("Content-Length", str(len(body))))
        head = f"HTTP/1.1 {self.status} Scripted\r\n" + "".join(f"{n}: {v}\r\n" for n, v in headers) + "\r\n"
        return head.encode("utf-8"), body


class Connection:
    """One client; scripts write to it as they like."""

    def __init__(self, sock):
        self.sock, self.stream, self.open = sock, sock.makefile("rb"), True

    def send(self, answer):
        head, body = answer.wire()
        self.sock.sendall(head + body)
        if answer.framing == "close":
            self.close()

    def raw(self, data):
        self.sock.sendall(data)

    def close(self):
        self.open = False

    def await_end(self):
        """Until the client gives up."""
        while self.stream.read(65536):
            pass
        self.close()

    def request(self):
        line = self.stream.readline(65536)
        if not line:
            return None
        method, target, _ = line.decode("latin-1").split(" ", 2)
        headers, length = [], 0
        while (line := self.stream.readline(65536)) not in (b"\r\n", b""):
            name, _, value = line.decode("utf-8").partition(":")
            headers.append((name, value.strip()))
            if name.lower() == "content-length":
                length = min(int(value), REQUEST_MAX)
        return Request(method, target, headers, self.stream.read(length))


NGINX = """daemon off;
pid {folder}/pid;
error_log {folder}/error.log crit;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u;
    scgi_temp_path {folder}/s;
    server {{
        listen 127.0.0.1:{port} ssl http2;
        ssl_certificate {certificate};
        ssl_certificate_key {certificate};
        large_client_header_buffers 8 32k;
        location / {{
            proxy_pass http://127.0.0.1:{plain};
            proxy_http_version 1.1;
            proxy_set_header Host $host;
            proxy_set_header X-Spoken $server_protocol;
            proxy_buffering off;
        }}
    }}
}}
"""


class Http2:
    """A real HTTP/2 server before the script: nginx."""

    def __init__(self, folder, certificate, plain):
        self.process, self.folder = None, Path(folder) / "nginx"
        program = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
        if not program:
            return
        self.folder.mkdir()
        self.port = free_port()
        conf = self.folder / "nginx.conf"
        conf.write_text(NGINX.format(folder=self.folder, port=self.port, certificate=certificate, plain=plain))
        self.process = subprocess.Popen([program, "-c", conf, "-p", self.folder, "-e", self.folder / "error.log"],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + START_SECONDS
        while not listens(self.port):
            if self.process.poll() is not None or time.monotonic() > until:
                self.close()
                raise AssertionError(f"nginx did not start: {(self.folder / 'error.log').read_text()[-1000:]}")
            time.sleep(0.02)

    def close(self):
        if self.process:
            self.process.terminate()
            self.process.wait(20)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def listens(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


class Vendor:
    """with Vendor(folder) as v: origin = v.host(script)   -- script(request, connection) answers each request"""

    def __init__(self, folder):
        self.paths = certificates(folder)
        self.ca = self.paths["ca"]
        self.contexts = {}
        for kind in ("good", "wrong host", "expired", "self-signed"):
            self.contexts[kind] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.contexts[kind].load_cert_chain(self.paths[kind])
        self.contexts["good"].sni_callback = self._choose_certificate
        self.scripts, self.kinds, self.n = {}, {}, 0
        self.sockets, self.folder = {}, folder

    def __enter__(self):
        for scheme in ("https", "http"):
            listener = socket.create_server(("127.0.0.1", 0), backlog=LISTEN)
            self.sockets[scheme] = listener
            threading.Thread(target=self._accept, args=(listener, scheme == "https"), daemon=True).start()
        self.http2 = Http2(self.folder, self.paths["good"], self.sockets["http"].getsockname()[1])
        return self

    def __exit__(self, *_):
        self.http2.close()
        for listener in self.sockets.values():
            listener.close()

    def host(self, script, certificate="good", scheme="https"):
        """A new origin whose requests go to the script."""
        self.n += 1
        name = f"play-{self.n}.{DOMAIN}"
        self.scripts[name], self.kinds[name] = script, certificate
        if scheme == "http2":
            return f"https://{name}:{self.http2.port}"
        return f"{scheme}://{name}:{self.sockets[scheme].getsockname()[1]}"

    def _choose_certificate(self, tls, name, _):
        tls.context = self.contexts[self.kinds.get(name, "good")]

    def _accept(self, listener, tls):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock, tls), daemon=True).start()

    def _serve(self, sock, tls):
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls:
                sock = self.contexts["good"].wrap_socket(sock, server_side=True)
            connection = Connection(sock)
            while connection.open and (request := connection.request()):
                host = (request.header("Host") or "").partition(":")[0]
                self.scripts[host](request, connection)
        except (OSError, ValueError, KeyError):
            pass  # the client went away, or broke off: that is what many plays are about
        finally:
            try:
                sock.close()
            except OSError:
                pass
