"""POP3 and ManageSieve: poplib and raw dialogues."""

import base64
import hashlib
import poplib

from record import Dialogue, Session, context
from servers import HOST, USERS


class Recorded(poplib.POP3):
    session = None

    def _putcmd(self, line):
        if self.session:
            self.session.verbs.append(line.split(" ")[0].upper())
        super()._putcmd(line)


class RecordedTls(Recorded, poplib.POP3_SSL):
    pass


def library(lab, sessions, name, contents, service="pop3", stls=False, apop=False):
    implicit = service == "pop3s"
    if implicit:
        client = RecordedTls(HOST, lab.ports[service], context=context(lab), timeout=30)
    else:
        client = Recorded(HOST, lab.ports[service], timeout=30)
    security = "implicit" if implicit else "starttls" if stls else "none"
    session = Session(f"poplib {name}", "pop3", client.sock.getsockname()[1], security)
    client.session = session
    sessions.append(session)
    client.capa()
    if stls:
        client.stls(context=context(lab))
        client.capa()
    if apop:
        client.apop("paul", USERS["paul"])
    else:
        client.user("paul")
        client.pass_(USERS["paul"])
    session.auth.append(("APOP" if apop else "USER", "paul", "success"))
    client.stat()
    client.list()
    client.uidl()
    client.top(1, 0)
    for number, content in enumerate(contents, 1):
        received = b"".join(line + b"\r\n" for line in client.retr(number)[1])
        if received != content:
            raise AssertionError(f"poplib {name}: message {number} is not what lies in the maildir")
        session.message(content)
    client.quit()


def pipelined(lab, sessions, contents):
    """The whole session in one flight."""
    d = Dialogue(lab, sessions, "raw pipelined", "pop3")
    d.pop3()
    count = len(contents)
    flight = [b"USER paul", b"PASS " + USERS["paul"].encode(), b"STAT", b"LIST", b"UIDL"]
    flight += [b"RETR %d" % n for n in range(1, count + 1)] + [b"TOP 1 2", b"RETR 99", b"NOOP", b"RSET", b"QUIT"]
    d.send(b"".join(c + b"\r\n" for c in flight), *(c.split(b" ")[0].decode() for c in flight))
    for command in flight:
        verb = command.split(b" ")[0]
        got = d.pop3(verb in (b"LIST", b"UIDL", b"RETR", b"TOP") and command != b"RETR 99",
                     b"-ERR" if command == b"RETR 99" else b"+OK")  # fmt: skip
        if verb == b"RETR" and command != b"RETR 99":
            if got not in contents:
                raise AssertionError("raw pipelined: not what lies in the maildir")
            d.session.message(got)
    d.session.auth.append(("USER", "paul", "success"))
    d.close()


def authentication(lab, sessions):
    d = Dialogue(lab, sessions, "raw AUTH", "pop3")
    stamp = d.pop3().rpartition(b"<")[2].rstrip(b">\r\n")
    wrong = hashlib.md5(b"<" + stamp + b">wrong").hexdigest().encode()
    d.command(b"APOP paul " + wrong)
    d.pop3(expected=b"-ERR")
    d.session.auth.append(("APOP", "paul", "failure"))
    d.command(b"USER paul")
    d.pop3()
    d.command(b"PASS wrong")
    d.pop3(expected=b"-ERR")
    d.session.auth.append(("USER", "paul", "failure"))
    d.command(b"AUTH LOGIN")
    d.pop3(expected=b"+ ")
    d.send(b"*\r\n")
    d.pop3(expected=b"-ERR")
    d.session.auth.append(("LOGIN", None, "aborted"))
    d.command(b"AUTH PLAIN " + base64.b64encode(b"\0paul\0" + USERS["paul"].encode()))
    d.pop3()
    d.session.auth.append(("PLAIN", "paul", "success"))
    d.command(b"QUIT")
    d.pop3()
    d.close()


def sieve(lab, sessions, starttls):
    """ManageSieve: scripts put and fetched as literals."""
    d = Dialogue(lab, sessions, "raw ManageSieve" + (" STARTTLS" if starttls else ""), "sieve")

    def answer(expected=b"OK"):
        while True:
            line = d.line()
            if line.endswith(b"}") and line.startswith(b"{"):
                d.exactly(int(line[1:-1]))
            elif line.startswith((b"OK", b"NO", b"BYE")):
                if not line.startswith(expected):
                    raise AssertionError(f"ManageSieve: {line!r}")
                return

    answer()
    if starttls:
        d.command(b"STARTTLS")
        answer()
        d.start_tls()
        answer()
    d.command(b'AUTHENTICATE "PLAIN" "' + base64.b64encode(b"\0erin\0wrong") + b'"')
    answer(b"NO")
    d.session.auth.append(("PLAIN", "erin", "failure"))
    d.command(b'AUTHENTICATE "PLAIN" "' + base64.b64encode(b"\0erin\0" + USERS["erin"].encode()) + b'"')
    answer()
    d.session.auth.append(("PLAIN", "erin", "success"))
    script = b'require "fileinto";\r\n# OK "no"\r\nLOGOUT\r\n'[:-8] + b"keep;\r\n"
    d.command(b'HAVESPACE "one" 100')
    answer()
    d.send(b'PUTSCRIPT "one" {%d+}\r\n' % len(script) + script + b"\r\n", "PUTSCRIPT")
    answer()
    for line in (b"LISTSCRIPTS", b'SETACTIVE "one"', b'GETSCRIPT "one"', b'SETACTIVE ""', b'DELETESCRIPT "one"'):
        d.command(line)
        answer()
    d.command(b"LOGOUT")
    answer()
    d.close()


def run(lab, sessions, contents):
    library(lab, sessions, "plain", contents)
    library(lab, sessions, "APOP", contents, apop=True)
    library(lab, sessions, "STLS", contents, stls=True)
    library(lab, sessions, "implicit TLS", contents, service="pop3s")
    pipelined(lab, sessions, contents)
    authentication(lab, sessions)
    sieve(lab, sessions, False)
    sieve(lab, sessions, True)
