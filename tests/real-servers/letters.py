"""Messages that are easy to get wrong."""

import base64
import hashlib


def letter(subject, body, sender="alice@example.test", to="bob@example.test", extra=b""):
    head = f"From: {sender}\r\nTo: {to}\r\nSubject: {subject}\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\n"
    # Postfix adds neither of these two to what comes from outside: what it stores ends with what was sent.
    ident = hashlib.sha256(subject.encode() + body).hexdigest()[:16]
    return head.encode() + f"Message-ID: <{ident}@client.test>\r\n".encode() + extra + b"\r\n" + body


def noise(count, seed=b"noise"):
    """`count` bytes that do not compress, the same every time."""
    out = bytearray()
    while len(out) < count:
        out += hashlib.sha256(seed + len(out).to_bytes(8, "big")).digest()
    return bytes(out[:count])


def attached(subject, content):
    head = b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b=_1"\r\n'
    lines = base64.encodebytes(content).replace(b"\n", b"\r\n")
    return letter(
        subject,
        b"--b=_1\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        + "Grüße, с вложением\r\n".encode()
        + b"--b=_1\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n"
        + b'Content-Disposition: attachment; filename="noise.bin"\r\n\r\n'
        + lines
        + b"--b=_1--\r\n",
        extra=head,
    )


DOTS = letter("dots", b".\r\n..\r\n.leading\r\n...\r\n. \r\nin.the.middle\r\n\r\n.\r\n")
COMMANDS = letter(
    "lines that look like protocol",
    b"QUIT\r\nRSET\r\n250 2.0.0 Ok\r\n354 go\r\n+OK 5 octets\r\n-ERR no\r\nSTARTTLS\r\nBDAT 5 LAST\r\n"
    b"a1 OK FETCH completed\r\n* BYE\r\n)\r\n* 1 FETCH (BODY[] {5}\r\n{12+}\r\n~{3}\r\n+ idling\r\nDONE\r\n",
)
EIGHT_BIT = letter("8-bit", "Grüße — письмо\r\n".encode() + b"\xe4\xf6\xfc latin\r\n\ttab \r\ntrailing  \r\n")
NO_BODY = letter("no body", b"")
FROM_LINES = letter("From lines", b"From alice Tue Nov 24\r\n>From bob\r\n\r\nFrom nobody\r\n" + b"x" * 900 + b"\r\n")
ATTACHED = attached("with attachment", noise(30_000))
LARGE = attached("large", noise(400_000, b"large"))
REFUSED = letter("refused by content", b"please\r\n", extra=b"X-Refuse: please\r\n")
NO_LAST_CRLF = letter("no line end at the end", b"the last line has no end")

ALL = [DOTS, COMMANDS, EIGHT_BIT, NO_BODY, FROM_LINES, ATTACHED]


def numbered(count, subject="number"):
    return [letter(f"{subject} {i}", f"line {i}\r\n.dot {i}\r\n".encode() * (i + 1)) for i in range(count)]
