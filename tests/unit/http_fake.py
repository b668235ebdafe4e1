#!/usr/bin/env python3
"""A fake web server that misbehaves on purpose; no real one can be told to.

usage: http_fake.py certificate key ready-file
Serves plain HTTP and TLS on two free loopback ports and writes their numbers to ready-file.
"""
import gzip
import socket
import ssl
import sys
import threading
import time

CHUNK = b"x" * 16384


def answer(body, *headers, status="200 OK"):
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def read_request(stream):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = stream.readline()
        if not line:
            return None, None, None
        head += line
    length = 0
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    return head.split(b" ")[1].decode(), head, stream.read(length)


def forever(sock, piece, pause):
    while True:
        sock.sendall(piece)
        if pause:
            time.sleep(pause)


def serve_one(sock, path, head, body):
    """Returns whether the connection may be used again."""
    if path.partition("?")[0].endswith("/echo"):
        sock.sendall(answer(head + body, "X-First: 1", "x-first:  last wins \t", "X-Empty:", "Set-Cookie: session=of-another; Path=/"))
    elif path == "/cut":
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this")
        return False
    elif path == "/nothing":
        return False
    elif path == "/garbage":
        sock.sendall(b"\x00\x01\x02 this is not HTTP\r\n\r\n")
        return False
    elif path == "/endless":
        sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        forever(sock, CHUNK, 0)
    elif path == "/drip":
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        forever(sock, b"x", 0.05)
    elif path == "/silent":
        sock.recv(1)
        return False
    elif path == "/bomb":
        sock.sendall(answer(gzip.compress(b"\0" * 20_000_000), "Content-Encoding: gzip"))
    elif path == "/gzip":
        sock.sendall(answer(gzip.compress(b"small " * 100), "Content-Encoding: gzip"))
    elif path == "/badgzip":
        sock.sendall(answer(b"this was never compressed", "Content-Encoding: gzip"))
    elif path == "/flood":
        sock.sendall(b"HTTP/1.1 200 OK\r\n")
        forever(sock, b"X-Flood: " + b"y" * 1000 + b"\r\n", 0)
    elif path == "/redirect":
        sock.sendall(answer(b"elsewhere", "Location: /echo", status="302 Found"))
    elif path == "/continue":
        sock.sendall(b"HTTP/1.1 103 Early Hints\r\nX-Hint: early\r\n\r\n" + answer(b"done", "X-Hint: final"))
    elif path == "/trailers":
        sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Part: head\r\n\r\n"
                     b"4\r\ndone\r\n0\r\nX-Part: trailer\r\n\r\n")
    elif path == "/large":
        sock.sendall(answer(b"z" * 1_000_000))
    elif path == "/status":
        sock.sendall(answer(b"", status="503 Not Now"))
    else:
        sock.sendall(answer(b"no such page", status="404 Not Found"))
    return True


def serve(sock, context):
    try:
        if context:
            sock = context.wrap_socket(sock, server_side=True)
        elif sock.recv(1, socket.MSG_PEEK) == b"\x16":  # a TLS handshake
            sock.sendall(b"HTTP/1.1 400 Not TLS\r\n\r\n")
            return
        stream = sock.makefile("rb")
        while True:
            path, head, body = read_request(stream)
            if path is None or not serve_one(sock, path, head, body):
                break
        stream.close()
    except OSError:
        pass
    finally:
        sock.close()


def listen(context):
    server = socket.create_server(("127.0.0.1", 0), backlog=256)

    def accept():
        while True:
            sock, _ = server.accept()
            threading.Thread(target=serve, args=(sock, context), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return server.getsockname()[1]


def main():
    certificate, key, ready = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    ports = f"{listen(None)} {listen(context)}\n"
    with open(ready, "w") as out:
        out.write(ports)
    threading.Event().wait()


main()
