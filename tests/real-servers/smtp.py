"""SMTP and LMTP: smtplib and raw dialogues."""

import base64
import smtplib

import letters
from record import Dialogue, Session, context
from servers import HOST, USERS

VERBS = {"EHLO", "HELO", "LHLO", "MAIL", "RCPT", "DATA", "RSET", "QUIT", "NOOP", "VRFY", "AUTH", "STARTTLS"}


def b64(data):
    return base64.b64encode(data)


def stuffed(content):
    return content.replace(b"\r\n.", b"\r\n..") if not content.startswith(b".") else b"." + stuffed(content[1:])


def recording(kind):
    class Recorded(kind):
        session = None

        def putcmd(self, cmd, args=""):
            verb = cmd.split(" ")[0].upper()
            # What answers a challenge goes through here, too.
            if self.session and verb in VERBS:
                self.session.verbs.append(verb)
            super().putcmd(cmd, args)

    return Recorded


def library(lab, sessions, name, service="smtp", starttls=False, mechanism=None, user="alice", content=(), wrong=False):
    """smtplib: log in if asked to, send `content`, one transaction each."""
    implicit = service == "smtps"
    kind = recording(smtplib.SMTP_SSL if implicit else smtplib.SMTP)
    how = {"context": context(lab)} if implicit else {}
    client = kind(HOST, lab.ports[service], local_hostname="client.test", timeout=30, **how)
    security = "implicit" if implicit else "starttls" if starttls else "none"
    client.session = Session(f"smtplib {name}", "smtp", client.sock.getsockname()[1], security)
    sessions.append(client.session)
    client.ehlo()
    if starttls:
        client.starttls(context=context(lab))
        client.ehlo()
    if mechanism:
        client.user, client.password = user, "wrong" if wrong else USERS[user]
        method = {"PLAIN": client.auth_plain, "LOGIN": client.auth_login, "CRAM-MD5": client.auth_cram_md5}[mechanism]
        try:
            client.auth(mechanism, method)
        except smtplib.SMTPAuthenticationError:
            if not wrong:
                raise
        client.session.auth.append((mechanism, user, "failure" if wrong else "success"))
    for one in content:
        client.sendmail("alice@example.test", ["bob@example.test", "carol@example.test"], one, ["BODY=8BITMIME"])
        client.session.message(one)
    client.quit()


def dialogue(lab, sessions, name):
    d = Dialogue(lab, sessions, f"raw {name}", "smtp")
    d.smtp(b"220")
    d.command(b"EHLO raw.test")
    d.smtp(b"250")
    return d


def pipelined(lab, sessions):
    """Envelope in one flight, one recipient refused, QUIT right behind the final dot."""
    d = dialogue(lab, sessions, "pipelined")
    d.send(
        b"MAIL FROM:<alice@example.test> BODY=8BITMIME RET=HDRS ENVID=one+2Btwo\r\n"
        b"RCPT TO:<erin@example.test> NOTIFY=NEVER\r\nRCPT TO:<nobody@outside.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n",
        "MAIL", "RCPT", "RCPT", "RCPT", "DATA")  # fmt: skip
    for code in (b"250", b"250", b"554", b"250", b"354"):
        d.smtp(code)
    d.send(stuffed(letters.DOTS) + b".\r\nNOOP\r\nMAIL FROM:<>\r\nRSET\r\nQUIT\r\n", "NOOP", "MAIL", "RSET", "QUIT")
    for code in (b"250", b"250", b"250", b"250", b"221"):
        d.smtp(code)
    d.session.message(letters.DOTS)
    d.session.envelopes = [
        [("erin@example.test", True), ("nobody@outside.test", False), ("bob@example.test", True)],
    ]
    d.close()


def chunked(lab, sessions, starttls=False):
    """BDAT: in pieces that cut lines, empty ones, pipelined; RSET between chunks; no line end at the end."""
    d = dialogue(lab, sessions, "BDAT" + (" STARTTLS" if starttls else ""))
    if starttls:
        d.command(b"STARTTLS")
        d.smtp(b"220")
        d.start_tls()
        d.command(b"EHLO raw.test")
        d.smtp(b"250")

    def envelope():
        d.command(b"MAIL FROM:<alice@example.test> BODY=8BITMIME")
        d.smtp(b"250")
        d.command(b"RCPT TO:<erin@example.test>")
        d.smtp(b"250")

    envelope()
    content, at = letters.DOTS, 0
    for size in (1, 160, len(letters.DOTS) - 161):
        d.send(b"BDAT %d\r\n" % size + content[at : at + size], "BDAT")
        at += size
        d.smtp(b"250")
    d.command(b"BDAT 0 LAST")
    d.smtp(b"250")
    d.session.message(content)

    envelope()
    content = letters.COMMANDS
    d.send(
        b"BDAT 100\r\n" + content[:100] + b"BDAT 100\r\n" + content[100:200]
        + b"BDAT %d LAST\r\n" % (len(content) - 200) + content[200:] + b"NOOP\r\n",
        "BDAT", "BDAT", "BDAT", "NOOP")  # fmt: skip
    for _ in range(4):
        d.smtp(b"250")
    d.session.message(content)

    envelope()
    d.send(b"BDAT 30\r\n" + content[:30], "BDAT")
    d.smtp(b"250")
    d.command(b"BDAT 0")  # Postfix takes it only as the last
    d.smtp(b"551")
    d.command(b"RSET")
    d.smtp(b"250")

    envelope()
    content = letters.NO_LAST_CRLF
    d.send(b"BDAT %d LAST\r\n" % len(content) + content, "BDAT")
    d.smtp(b"250")
    d.session.message(content)
    # Without a transaction: refused, the chunk comes along all the same.
    d.send(b"BDAT 6 LAST\r\nNOOP\r\n", "BDAT")
    d.smtp(b"503")
    d.session.message(b"NOOP\r\n", "rejected")
    d.command(b"QUIT")
    d.smtp(b"221")
    d.close()


def errors(lab, sessions):
    """Refused recipients, DATA without any, unknown commands, RSET, a refused message, an empty one."""
    d = dialogue(lab, sessions, "errors")
    for line, code in (
        (b"NOOP x", b"250"), (b"DATA", b"503"), (b"MAIL FROM:<alice@example.test>", b"250"),
        (b"RCPT TO:<nobody@example.test>", b"550"), (b"DATA", b"554"), (b"RSET", b"250"),
        (b"VRFY bob@example.test", b"252"), (b"FROBNICATE now", b"50"), (b"MAIL FROM:<alice@example.test>", b"250"),
        (b"RCPT TO:<erin@example.test>", b"250"), (b"DATA", b"354"),
    ):  # fmt: skip
        d.command(line)
        d.smtp(code)
    d.send(stuffed(letters.REFUSED) + b".\r\n")
    d.smtp(b"550")
    d.session.message(letters.REFUSED, "rejected")
    for line, code in ((b"mail from:<>", b"250"), (b"rcpt to:<erin@example.test>", b"250"), (b"data", b"354")):
        d.command(line)
        d.smtp(code)
    d.send(b".\r\n")
    d.smtp(b"250")
    d.session.message(b"")
    d.session.envelopes = [[("erin@example.test", True)]] * 2
    d.command(b"QUIT")
    d.smtp(b"221")
    d.close()


def hung_up(lab, sessions):
    """The client goes away in the middle of DATA: no whole message."""
    d = dialogue(lab, sessions, "hung up in DATA")
    for line, code in (
        (b"MAIL FROM:<alice@example.test>", b"250"), (b"RCPT TO:<erin@example.test>", b"250"), (b"DATA", b"354"),
    ):  # fmt: skip
        d.command(line)
        d.smtp(code)
    d.send(b"Subject: never ends\r\n\r\nhalf a line")
    d.close_now()


def authentication(lab, sessions):
    """Retried, cancelled, failed and at last successful."""
    d = dialogue(lab, sessions, "AUTH")
    d.command(b"AUTH PLAIN " + b64(b"\0bob\0wrong"))
    d.smtp(b"535")
    d.session.auth.append(("PLAIN", "bob", "failure"))
    d.command(b"AUTH LOGIN")
    d.smtp(b"334")
    d.send(b"*\r\n")
    d.smtp(b"501")
    d.session.auth.append(("LOGIN", None, "aborted"))
    d.command(b"AUTH LOGIN " + b64(b"bob"))
    d.smtp(b"334")
    d.send(b64(b"wrong") + b"\r\n")
    d.smtp(b"535")
    d.session.auth.append(("LOGIN", "bob", "failure"))
    d.command(b"AUTH PLAIN")
    d.smtp(b"334")
    d.send(b64(b"\0bob\0" + USERS["bob"].encode()) + b"\r\n")
    d.smtp(b"235")
    d.session.auth.append(("PLAIN", "bob", "success"))
    d.command(b"QUIT")
    d.smtp(b"221")
    d.close()


def injected(lab, sessions):
    """A command in the same flight as STARTTLS: Postfix throws it away."""
    d = dialogue(lab, sessions, "injection")
    d.send(b"STARTTLS\r\nNOOP\r\n", "STARTTLS")
    d.smtp(b"220")
    d.start_tls()
    for line, code in ((b"EHLO raw.test", b"250"), (b"ETRN example.test", b"250"), (b"QUIT", b"221")):
        d.command(line)
        d.smtp(code)
    d.close()


def bare_line_feeds(lab, sessions):
    """Postfix, told to be lenient, takes a dot line that ends with a bare line feed for the end."""
    d = dialogue(lab, sessions, "bare line feeds")
    for end in (b"\r\n.\n", b"\n.\n", b"\n.\r\n"):
        content = letters.letter(f"ends with {end!r}", b"one\ntwo\r\n..\r\nthree")
        for line, code in (
            (b"MAIL FROM:<alice@example.test>", b"250"), (b"RCPT TO:<erin@example.test>", b"250"), (b"DATA", b"354"),
        ):  # fmt: skip
            d.command(line)
            d.smtp(code)
        d.send(stuffed(content) + end)
        d.smtp(b"250")
        d.session.message(content + end[: end.index(b".")])
    d.command(b"QUIT")
    d.smtp(b"221")
    d.close()


def lmtp(lab, sessions):
    """A reply for each recipient that was accepted."""
    d = Dialogue(lab, sessions, "raw LMTP", "lmtp")
    d.smtp(b"220")
    d.command(b"LHLO raw.test")
    d.smtp(b"250")
    for content in (letters.DOTS, letters.COMMANDS):
        d.send(b"MAIL FROM:<alice@example.test>\r\n", "MAIL")
        for recipient in (b"bob", b"nobody.here", b"carol"):
            d.send(b"RCPT TO:<%s@example.test>\r\n" % recipient, "RCPT")
        d.command(b"DATA")
        for code in (b"250", b"250", b"550", b"250", b"354"):
            d.smtp(code)
        d.send(stuffed(content) + b".\r\n")
        d.smtp(b"250")
        d.smtp(b"250")
        d.session.message(content)
    users = (("bob@example.test", True), ("nobody.here@example.test", False), ("carol@example.test", True))
    d.session.envelopes = [list(users)] * 2
    d.command(b"QUIT")
    d.smtp(b"221")
    d.close()


def run(lab, sessions):
    library(lab, sessions, "plain", content=letters.ALL)
    library(lab, sessions, "STARTTLS", starttls=True, mechanism="PLAIN", content=[letters.DOTS, letters.LARGE])
    library(lab, sessions, "implicit TLS", service="smtps", mechanism="LOGIN", content=letters.numbered(5))
    library(lab, sessions, "CRAM-MD5", mechanism="CRAM-MD5", content=[letters.FROM_LINES])
    library(lab, sessions, "LOGIN", mechanism="LOGIN", user="bob")
    library(lab, sessions, "CRAM-MD5 wrong", mechanism="CRAM-MD5", wrong=True)
    lmtp(lab, sessions)
    pipelined(lab, sessions)
    chunked(lab, sessions)
    chunked(lab, sessions, starttls=True)
    errors(lab, sessions)
    hung_up(lab, sessions)
    authentication(lab, sessions)
    injected(lab, sessions)
    bare_line_feeds(lab, sessions)
