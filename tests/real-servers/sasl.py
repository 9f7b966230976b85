"""Every mechanism with a password, in each protocol: with and without initial response, wrong, cancelled, retried."""

import base64
import hashlib
import hmac
import re

from record import Dialogue
from servers import USERS

USER = "erin"


def plain(password, _):
    yield b"\0%s\0%s" % (USER.encode(), password)


def login(password, _):
    yield None
    yield USER.encode()
    yield password


def cram_md5(password, _):
    challenge = yield None
    yield b"%s %s" % (USER.encode(), hmac.new(password, challenge, "md5").hexdigest().encode())


def digest_md5(password, service):
    """RFC 2831."""
    challenge = yield None
    told = {name: value.strip(b'"') for name, value in re.findall(rb'(\w+)=("[^"]*"|[^,]*)', challenge)}
    user, realm, nonce, uri = USER.encode(), told.get(b"realm", b""), told[b"nonce"], service + b"/mail.example.test"
    md5 = lambda data: hashlib.md5(data).hexdigest().encode()  # noqa: E731
    secret = hashlib.md5(b":".join((user, realm, password))).digest()
    first, second = md5(b":".join((secret, nonce, b"OA6MHXh6VqTrRk"))), md5(b"AUTHENTICATE:" + uri)
    response = md5(b":".join((first, nonce, b"00000001", b"OA6MHXh6VqTrRk", b"auth", second)))
    yield (
        b'charset=utf-8,username="%s",realm="%s",nonce="%s",nc=00000001,cnonce="OA6MHXh6VqTrRk",digest-uri="%s",'
        b"response=%s,qop=auth" % (user, realm, nonce, uri, response)
    )
    yield b""


def scram(name):
    def exchange(password, _):
        """RFC 5802."""
        bare = b"n=%s,r=fyko+d2lbbFgONRv9qkxdawL" % USER.encode()
        server = yield b"n,," + bare
        values = dict(part.split(b"=", 1) for part in server.split(b","))
        final = b"c=biws,r=" + values[b"r"]
        salted = hashlib.pbkdf2_hmac(name, password, base64.b64decode(values[b"s"]), int(values[b"i"]))
        key = hmac.digest(salted, b"Client Key", name)
        signed = b",".join((bare, server, final))
        signature = hmac.digest(hashlib.new(name, key).digest(), signed, name)
        yield final + b",p=" + base64.b64encode(bytes(a ^ b for a, b in zip(key, signature)))
        yield b""

    return exchange


# What makes the responses (None first where the server speaks first, RFC 4422 §5), and whether the client does.
MECHANISMS = {
    "PLAIN": (plain, True),
    "LOGIN": (login, False),
    "CRAM-MD5": (cram_md5, False),
    "DIGEST-MD5": (digest_md5, False),
    "SCRAM-SHA-1": (scram("sha1"), True),
    "SCRAM-SHA-256": (scram("sha256"), True),
}


class Client:
    """The same exchanges in the words of each protocol."""

    def __init__(self, lab, sessions, name, protocol, tls=False, certificate=False):
        self.protocol = protocol
        self.count = 0
        self.d = Dialogue(lab, sessions, f"SASL {name}", protocol)
        self.greeting()
        if tls:
            if protocol == "imap":
                self.d.ask(b"t", b"STARTTLS")
            else:
                self.d.command(b"STLS" if protocol == "pop3" else b"STARTTLS")
                self.expect("OK")
            self.d.start_tls(certificate)
            if protocol == "sieve":
                self.expect("OK")
            elif protocol == "smtp":
                self.hello()

    def greeting(self):
        if self.protocol == "imap":
            self.d.line()
        else:
            self.expect("OK")
        if self.protocol == "smtp":
            self.hello()

    def hello(self):
        self.d.command(b"EHLO raw.test")
        self.expect("OK")

    def expect(self, word):
        answer = self.answer()[0]
        if answer != word:
            raise AssertionError(f"{self.d.session.client}: {answer} where {word} was expected")

    def begin(self, mechanism, initial):
        encoded = None if initial is None else base64.b64encode(initial)
        if encoded == b"" and self.protocol != "sieve":
            encoded = b"="  # RFC 4954 §4 and its kin: empty, but there
        words = [b"AUTH" if self.protocol in ("smtp", "pop3") else b"AUTHENTICATE", mechanism.encode()]
        words += [] if encoded is None else [encoded]
        if self.protocol == "sieve":
            words = words[:1] + [b'"%s"' % w for w in words[1:]]
        verb = words[0].decode()
        if self.protocol == "imap":
            self.count += 1
            self.tag = b"s%d" % self.count
            words.insert(0, self.tag)
        self.d.send(b" ".join(words) + b"\r\n", verb)

    def respond(self, encoded):
        self.d.send((b'"%s"' if self.protocol == "sieve" else b"%s") % encoded + b"\r\n")

    def answer(self, challenged=False):
        """`OK` or `NO`, or `+` and a challenge, where there may be one."""
        while True:
            line = self.d.line()
            if self.protocol == "sieve":
                if line.startswith((b"OK", b"NO")):
                    # SCRAM's last word stands in the reply, as a literal or not; its rest is told with it.
                    if line.endswith(b"}"):
                        self.d.exactly(int(re.search(rb"\{(\d+)\}$", line)[1]))
                        self.d.line()
                    return line[:2].decode(), None
                if literal := re.fullmatch(rb"\{(\d+)\}", line):
                    line = self.d.exactly(int(literal[1]))
                    self.d.line()
                if challenged:
                    return "+", base64.b64decode(line.strip(b'"'))
            elif self.protocol == "smtp":
                if line[3:4] != b"-":
                    self.d.session.replies.append(line[:3].decode())
                    word = {b"3": "+", b"2": "OK"}.get(line[:1], "NO")
                    return word, base64.b64decode(line[4:]) if word == "+" else None
            elif self.protocol == "pop3":
                status = line.split(b" ")[0]
                self.d.session.replies.append(status.decode())
                word = {b"+": "+", b"+OK": "OK"}.get(status, "NO")
                return word, base64.b64decode(line[2:]) if word == "+" else None
            elif line.startswith(b"+"):
                return "+", base64.b64decode(line[2:])
            elif line.startswith(self.tag + b" "):
                self.d.session.replies.append(b" ".join(line.split(b" ")[:2]).decode())
                return line.split(b" ")[1].decode(), None

    def authenticate(self, mechanism, password, initial=False, cancelled=False):
        exchange = MECHANISMS[mechanism][0](password, {"pop3": b"pop"}.get(self.protocol, self.protocol.encode()))
        want = "aborted" if cancelled else "success" if password == USERS[USER].encode() else "failure"
        self.play(mechanism, exchange, USER, want, initial)

    def play(self, mechanism, exchange, user, want, initial=False):
        """Plays `exchange`, which makes the responses, as `user`; `want` is how it must end."""
        cancelled = want == "aborted"
        response = next(exchange)
        named = initial and response is not None
        self.begin(mechanism, response if named else None)
        if named:
            response = None
        word, challenge = self.answer(True)
        while word == "+":
            if cancelled:
                self.respond(b"*")
            else:
                self.respond(base64.b64encode(exchange.send(challenge) if response is None else response))
                response, named = None, True
            word, challenge = self.answer(True)
        outcome = "aborted" if cancelled else "success" if word == "OK" else "failure"
        if outcome != want:
            raise AssertionError(f"{self.d.session.client}: {mechanism} is a {outcome}, not a {want}")
        self.d.session.auth.append((mechanism, user if named else None, outcome))

    def leave(self):
        if self.protocol == "imap":
            self.d.ask(b"z", b"LOGOUT")
        else:
            self.d.command(b"LOGOUT" if self.protocol == "sieve" else b"QUIT")
            self.expect("OK")
        self.d.close()


def run(lab, sessions):
    right = USERS[USER].encode()
    for protocol in ("smtp", "imap", "pop3", "sieve"):
        for mechanism, (_, first) in MECHANISMS.items():
            # Dovecot's ManageSieve refuses a mechanism whose client speaks first without its response.
            for initial in {True: (True,) if protocol == "sieve" else (False, True), False: (False,)}[first]:
                name = f"{protocol} {mechanism}{' initial' if initial else ''}"
                client = Client(lab, sessions, name, protocol)
                client.authenticate(mechanism, b"wrong", initial)
                client.authenticate(mechanism, right, initial)
                client.leave()
        client = Client(lab, sessions, f"{protocol} cancelled", protocol)
        for mechanism in ("LOGIN", "CRAM-MD5", "DIGEST-MD5"):
            client.authenticate(mechanism, right, cancelled=True)
        client.leave()
        client = Client(lab, sessions, f"{protocol} STARTTLS", protocol, tls=True)
        client.authenticate("SCRAM-SHA-1", right, initial=True)
        client.leave()
