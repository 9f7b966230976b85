"""IMAP: imaplib and raw dialogues."""

import base64
import hashlib
import hmac
import imaplib
import zlib

import letters
from record import Dialogue, Session, context
from servers import HOST, USERS


class Recorded(imaplib.IMAP4):
    session = None

    def _command(self, name, *args):
        if self.session:
            self.session.verbs.append(f"UID {args[0]}" if name == "UID" else name)
        return super()._command(name, *args)


class RecordedTls(Recorded, imaplib.IMAP4_SSL):
    pass


def good(answer, expected="OK"):
    if answer[0] != expected:
        raise AssertionError(f"imaplib: {answer!r}")
    return answer[1]


def library(lab, sessions, name, contents, service="imap", starttls=False, login="LOGIN-COMMAND"):
    """imaplib: log in, append, fetch in several ways, copy, expunge."""
    if service == "imaps":
        client = RecordedTls(HOST, lab.ports[service], ssl_context=context(lab), timeout=30)
    else:
        client = Recorded(HOST, lab.ports[service], timeout=30)
    security = "implicit" if service == "imaps" else "starttls" if starttls else "none"
    session = Session(f"imaplib {name}", "imap", client.socket().getsockname()[1], security)
    session.verbs.append("CAPABILITY")  # asked by the constructor
    client.session = session
    sessions.append(session)
    if starttls:
        good(client.starttls(context(lab)))
    if login == "CRAM-MD5":
        good(client.login_cram_md5("ivan", USERS["ivan"]))
    elif login == "PLAIN":
        good(client.authenticate("PLAIN", lambda _: b"\0ivan\0" + USERS["ivan"].encode()))
    else:
        try:
            client.login("ivan", "wrong")
        except imaplib.IMAP4.error:
            session.auth.append((login, "ivan", "failure"))
        good(client.login("ivan", USERS["ivan"]))
    session.auth.append((login, "ivan", "success"))
    box = "Box-" + name.replace(" ", "-")
    good(client.create(box))
    sent = [letters.COMMANDS, letters.EIGHT_BIT, letters.NO_LAST_CRLF, letters.LARGE]
    for content in sent:
        # imaplib rewrites line ends; these have the right ones.
        good(client.append(box, r"(\Seen)", '"24-Nov-2026 10:00:00 +0000"', content))
        session.message(content)
    good(client.append("No-Such-Box", None, None, letters.DOTS), "NO")
    good(client.select("INBOX"))
    seen = good(client.fetch(f"1:{len(contents)}", "(UID FLAGS BODY.PEEK[])"))
    for content, item in zip(contents, [s for s in seen if isinstance(s, tuple)], strict=True):
        if item[1] != content:
            raise AssertionError("imaplib: not what lies in the maildir")
        session.message(content)
    good(client.fetch("1", "(RFC822)"))
    session.message(contents[0])
    good(client.uid("FETCH", "2", "(BODY[HEADER] BODY[TEXT] BODY[1] BODYSTRUCTURE ENVELOPE)"))
    # Header and text are the whole message.
    session.message(contents[1])
    good(client.select(box))
    good(client.search(None, "SUBJECT", '"8-bit"'))
    good(client.status(box, "(MESSAGES UIDNEXT)"))
    good(client.copy("1:2", "INBOX"))
    good(client.store("1", "+FLAGS", r"(\Deleted)"))
    good(client.expunge())
    good(client.noop())
    good(client.close())
    client.logout()


def open_box(lab, sessions, name, user="erin", **how):
    d = Dialogue(lab, sessions, f"raw {name}", "imap", **how)
    d.line()
    plain = base64.b64encode(f"\0{user}\0{USERS[user]}".encode())
    d.ask(b"a0", b"AUTHENTICATE PLAIN " + plain)
    d.session.auth.append(("PLAIN", user, "success"))
    return d


def appends(lab, sessions):
    """Literals of both kinds, several messages in one APPEND, a refused one, pipelined ones."""
    d = open_box(lab, sessions, "APPEND", service="imap")
    one, two, three = letters.DOTS, letters.COMMANDS, letters.NO_BODY
    d.send(b"m1 APPEND INBOX (\\Seen) {%d}\r\n" % len(one), "APPEND")
    assert d.line().startswith(b"+")
    d.send(one + b" (\\Flagged) {%d+}\r\n" % len(two) + two + b" {%d}\r\n" % len(three))
    assert d.line().startswith(b"+")
    d.send(three + b"\r\n")
    d.imap(b"m1")
    for content in (one, two, three):
        d.session.message(content)
    flight, tags = b"", []
    for i, content in enumerate(letters.numbered(4, "append")):
        tags.append(b"p%d" % i)
        flight += tags[-1] + b" APPEND {5+}\r\nINBOX {%d+}\r\n" % len(content) + content + b"\r\n"
        d.session.message(content)
    flight += b"p9 NOOP\r\n"
    d.send(flight, "APPEND", "APPEND", "APPEND", "APPEND", "NOOP")
    for tag in tags + [b"p9"]:
        d.imap(tag)
    d.ask(b"c1", b"LOGOUT")
    d.close()


def ranges(lab, sessions, contents):
    """One message in pieces that make a whole, one with a piece missing; headers and parts are no messages."""
    d = open_box(lab, sessions, "FETCH ranges", user="ivan", service="imap")
    d.ask(b"r1", b"SELECT INBOX")
    whole = contents[-1]
    step, at, got = 10_000, 0, b""
    tag = 0
    while at < len(whole):
        tag += 1
        answer = d.ask(b"f%d" % tag, b"UID FETCH %d (BODY.PEEK[]<%d.%d>)" % (len(contents), at, step))
        got += answer[0][1][0]
        at += step
    if got != whole:
        raise AssertionError("ranges: not what lies in the maildir")
    d.session.message(whole)
    d.ask(b"r2", b"FETCH 1 (BODY.PEEK[]<0.50> RFC822.SIZE)")
    d.ask(b"r3", b"FETCH 1:2 (BODY.PEEK[HEADER.FIELDS (SUBJECT {4+}\r\nFROM)] BODY.PEEK[HEADER] BODY.PEEK[TEXT]<3.5>)")
    d.send(b"s1 FETCH 1 BODY.PEEK[]\r\ns2 FETCH 2 (RFC822)\r\ns3 NOOP\r\n", "FETCH", "FETCH", "NOOP")
    d.imap(b"s1")
    d.imap(b"s2")
    d.imap(b"s3")
    d.session.message(contents[0])
    d.session.message(contents[1])
    d.ask(b"r4", b"LOGOUT")
    d.close()


def idle(lab, sessions):
    """IDLE, woken by what another session appends."""
    d = open_box(lab, sessions, "IDLE", user="erin", service="imap")
    d.ask(b"i1", b"SELECT INBOX")
    d.send(b"i2 IDLE\r\n", "IDLE")
    assert d.line().startswith(b"+")
    other = open_box(lab, sessions, "IDLE's waker", user="erin", service="imap")
    content = letters.numbered(1, "wake up")[0]
    other.ask(b"w1", b"APPEND INBOX {%d+}\r\n" % len(content) + content)
    other.session.message(content)
    other.ask(b"w2", b"LOGOUT")
    other.close()
    while not d.line().endswith(b"EXISTS"):
        pass
    d.send(b"DONE\r\n", "DONE")
    d.imap(b"i2")
    d.ask(b"i3", b"LOGOUT")
    d.close()


def scram(lab, sessions, user, wrong):
    """AUTHENTICATE SCRAM-SHA-256 (RFC 7677), with the right password or a wrong one."""
    d = Dialogue(lab, sessions, "raw SCRAM" + (" wrong" if wrong else ""), "imap")
    d.line()
    password = b"wrong" if wrong else USERS[user].encode()
    bare = f"n={user},r=rOprNGfwEbeRWgbNEkqO".encode()
    d.send(b"s1 AUTHENTICATE SCRAM-SHA-256 " + base64.b64encode(b"n,," + bare) + b"\r\n", "AUTHENTICATE")
    server = base64.b64decode(d.line()[2:])
    values = dict(part.split(b"=", 1) for part in server.split(b","))
    final = b"c=biws,r=" + values[b"r"]
    salted = hashlib.pbkdf2_hmac("sha256", password, base64.b64decode(values[b"s"]), int(values[b"i"]))
    key = hmac.digest(salted, b"Client Key", "sha256")
    signature = hmac.digest(hashlib.sha256(key).digest(), bare + b"," + server + b"," + final, "sha256")
    proof = bytes(a ^ b for a, b in zip(key, signature))
    d.send(base64.b64encode(final + b",p=" + base64.b64encode(proof)) + b"\r\n")
    if wrong:
        d.imap(b"s1", b"NO")
    else:
        assert d.line().startswith(b"+")
        d.send(b"\r\n")
        d.imap(b"s1")
    d.session.auth.append(("SCRAM-SHA-256", user, "failure" if wrong else "success"))
    d.ask(b"s2", b"LOGOUT")
    d.close()


class Deflated:
    """A socket on which COMPRESS=DEFLATE is on."""

    def __init__(self, inner):
        self.inner = inner
        self.out = zlib.compressobj(9, zlib.DEFLATED, -15)
        self.into = zlib.decompressobj(-15)

    def sendall(self, data):
        self.inner.sendall(self.out.compress(data) + self.out.flush(zlib.Z_SYNC_FLUSH))

    def recv(self, size):
        while True:
            data = self.inner.recv(size)
            plain = self.into.decompress(data)
            if plain or not data:
                return plain

    def close(self):
        self.inner.close()


def compressed(lab, sessions, starttls):
    """COMPRESS=DEFLATE, without and above TLS; what does not compress, too."""
    d = Dialogue(lab, sessions, "raw COMPRESS" + (" STARTTLS" if starttls else ""), "imap")
    d.line()
    if starttls:
        d.ask(b"t", b"STARTTLS")
        d.start_tls()
    d.send(b"a AUTHENTICATE CRAM-MD5\r\n", "AUTHENTICATE")
    challenge = base64.b64decode(d.line()[2:])
    answer = hmac.new(USERS["erin"].encode(), challenge, hashlib.md5).hexdigest()
    d.send(base64.b64encode(f"erin {answer}".encode()) + b"\r\n")
    d.imap(b"a")
    d.session.auth.append(("CRAM-MD5", "erin", "success"))
    d.ask(b"z", b"COMPRESS DEFLATE")
    d.socket = Deflated(d.socket)
    box = b"Packed-TLS" if starttls else b"Packed"
    d.ask(b"z1", b"CREATE " + box)
    noisy = letters.letter("noise", letters.noise(60_000).translate(bytes.maketrans(b"\0\r\n", b"???")))
    for content in (noisy, letters.LARGE):
        d.ask(b"z2", b"APPEND %s {%d+}\r\n" % (box, len(content)) + content)
        d.session.message(content)
    d.ask(b"z3", b"SELECT " + box)
    for (_, literals), content in zip(d.ask(b"z4", b"FETCH 1:2 BODY.PEEK[]"), (noisy, letters.LARGE)):
        if literals[0] != content:
            raise AssertionError("COMPRESS: not what was appended")
        d.session.message(content)
    d.ask(b"z5", b"CLOSE")
    d.ask(b"z6", b"LOGOUT")
    d.close()


def extensions(lab, sessions):
    """Literals in odd places, LITERAL8, CATENATE, URLAUTH, BINARY, NOTIFY."""
    d = Dialogue(lab, sessions, "raw extensions", "imap")
    d.line()
    password = USERS["erin"].encode()
    d.send(b"l1 LOGIN {4}\r\n", "LOGIN")
    assert d.line().startswith(b"+")
    d.send(b"erin {%d+}\r\n" % len(password) + password + b"\r\n")
    d.imap(b"l1")
    d.session.auth.append(("LOGIN-COMMAND", "erin", "success"))
    d.ask(b"e1", b"CREATE Ext")
    d.send(b"e2 CREATE {7}\r\n", "CREATE")
    assert d.line().startswith(b"+")
    d.send(b'Ext "b"\r\n')
    d.imap(b"e2")
    for tag, content in ((b"e3", letters.EIGHT_BIT), (b"e4", letters.ATTACHED)):
        d.ask(tag, b"APPEND Ext (\\Seen $Label) ~{%d+}\r\n" % len(content) + content)
        d.session.message(content)
    d.ask(b"e5", b"SELECT Ext")
    d.ask(b"e6", b"FETCH 2 (BINARY.PEEK[2] BINARY.SIZE[2] BODY.PEEK[2.MIME])")
    part = b"Subject: joined\r\n\r\n"
    d.ask(b"e7", b'APPEND Ext CATENATE (TEXT {%d+}\r\n%s URL "/Ext/;UID=1/;SECTION=TEXT")' % (len(part), part))
    d.ask(b"e8", b"NOOP")
    joined = part + letters.EIGHT_BIT.partition(b"\r\n\r\n")[2]
    answer = d.ask(b"e9", b"UID FETCH 3 (FLAGS BODY.PEEK[])")
    if joined not in answer[0][1]:
        raise AssertionError("CATENATE: not what was joined")
    d.session.message(joined)
    d.ask(b"n1", b"NOTIFY SET (SELECTED (MessageNew MessageExpunge FlagChange)) (PERSONAL (MessageNew))")
    d.ask(b"n2", b"NOTIFY NONE")
    d.ask(b"n3", b"ENABLE QRESYNC")
    d.ask(b"n4", b"CLOSE")
    d.ask(b"n5", b"SELECT Ext (QRESYNC (1 1 1:3))")
    d.ask(b"n6", b"UID SEARCH RETURN (ALL SAVE) OR FROM {5+}\r\nalice SUBJECT {6+}\r\njoined")
    d.ask(b"n7", b"UID FETCH $ (UID MODSEQ) (CHANGEDSINCE 1 VANISHED)")
    d.ask(b"n8", b"LOGOUT")
    d.close()


def everything_else(lab, sessions):
    """The rest of the commands that Dovecot knows, and some that it refuses."""
    d = open_box(lab, sessions, "other commands", user="erin", service="imap")
    script = (
        (b'ID ("name" "test" "version" NIL)', b"OK"), (b"ENABLE CONDSTORE QRESYNC", b"OK"), (b"NAMESPACE", b"OK"),
        (b'LIST "" "*" RETURN (STATUS (MESSAGES))', b"OK"), (b'LSUB "" "*"', b"OK"), (b"CREATE Sub.Box", b"OK"),
        (b"SUBSCRIBE Sub.Box", b"OK"), (b"RENAME Sub.Box Other", b"OK"), (b"UNSUBSCRIBE Sub.Box", b"OK"),
        (b"SELECT INBOX (CONDSTORE)", b"OK"), (b"SORT (REVERSE DATE) UTF-8 ALL", b"OK"),
        (b"THREAD REFERENCES UTF-8 ALL", b"OK"), (b"SEARCH RETURN (MIN MAX COUNT) ALL", b"OK"),
        (b"UID SEARCH SUBJECT {4+}\r\ndots", b"OK"), (b'SEARCH TEXT "{5}"', b"OK"), (b"MOVE 1 Other", b"OK"),
        (b"UID STORE 1:* (UNCHANGEDSINCE 1) +FLAGS (\\Flagged)", b"OK"), (b"STATUS Other (HIGHESTMODSEQ)", b"OK"),
        (b"UID EXPUNGE 1", b"OK"), (b"CHECK", b"OK"), (b"UNSELECT", b"OK"), (b"FROBNICATE", b"BAD"),
        (b"SELECT Nowhere", b"NO"), (b"EXAMINE Other", b"OK"), (b"GETQUOTAROOT INBOX", b"BAD"), (b"LOGOUT", b"OK"),
    )  # fmt: skip
    for i, (command, expected) in enumerate(script):
        d.ask(b"x%d" % i, command, expected)
    d.close()


def run(lab, sessions, contents):
    library(lab, sessions, "plain", contents)
    library(lab, sessions, "STARTTLS", contents, starttls=True, login="PLAIN")
    library(lab, sessions, "implicit TLS", contents, service="imaps", login="CRAM-MD5")
    appends(lab, sessions)
    ranges(lab, sessions, contents)
    idle(lab, sessions)
    compressed(lab, sessions, False)
    compressed(lab, sessions, True)
    scram(lab, sessions, "erin", False)
    scram(lab, sessions, "erin", True)
    extensions(lab, sessions)
    everything_else(lab, sessions)
