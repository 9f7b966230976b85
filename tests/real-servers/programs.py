"""Programs that people use: swaks, curl, mbsync, fetchmail. What they said is read from their own transcripts."""

import os
import re
import shutil
import subprocess

import letters
from record import Session
from servers import HOST, USERS


class ProgramFailed(Exception):
    pass


def execute(lab, command, keylog=False, codes=(0,), ticket=False, **how):
    environment = {"PATH": os.environ["PATH"], "HOME": lab.dir, "LC_ALL": "C"}
    if keylog:
        environment["SSLKEYLOGFILE"] = lab.keylog
    environment.update(lab.kerberos.environment if ticket else {})
    done = subprocess.run(command, env=environment, capture_output=True, timeout=60, stdin=subprocess.DEVNULL, **how)
    if done.returncode not in codes:
        raise ProgramFailed(f"{command}: exit code {done.returncode}\n{done.stdout!r}\n{done.stderr!r}")
    return done.stdout, done.stderr


def swaks(lab, sessions, name, *options, auth=None, wrong=False, security="none"):
    content = letters.letter(f"swaks {name}", b".from swaks\r\n..\r\nQUIT\r\n" * 3)
    path = lab.path("swaks.eml")
    with open(path, "wb") as f:
        f.write(content)
    port = lab.client_port()
    command = ["swaks", "--server", HOST, "--port", str(lab.ports["smtps" if security == "implicit" else "smtp"]),
               "--local-port", str(port), "--ehlo", "swaks.test", "--from", "alice@example.test",
               "--to", "bob@example.test,erin@example.test", "--data", "@" + path, *options]  # fmt: skip
    session = Session(f"swaks {name}", "smtp", port, security)
    if auth:
        command += ["--auth", auth, "--auth-user", "alice", "--auth-password", "wrong" if wrong else USERS["alice"]]
        session.auth.append((auth, "alice", "failure" if wrong else "success"))
    sessions.append(session)
    out, _ = execute(lab, command, codes=(28,) if wrong else (0,))
    body, said = False, []
    for line in out.split(b"\n"):
        if line.startswith((b"<-  354", b"<~  354")):
            body = True
        elif line.startswith((b" -> ", b" ~> ")):
            if body and line[4:] == b".":
                body = False
            elif body:
                said.append(line[5:] if line[4:5] == b"." else line[4:])
            elif found := re.match(b"[A-Z]{4,8}(?=[ :]|$)", line[4:]):
                session.verbs.append(found[0].decode())
    if not wrong:
        # swaks puts one more line end behind the file's.
        said = b"".join(line + b"\n" for line in said)
        if not said.startswith(content):
            raise AssertionError(f"swaks {name} sent something else than it was given")
        session.message(said)


def curl(lab, sessions, name, protocol, path, *options, security="none", user="ivan", auth=None, sent=None, got=None,
         codes=(0,), host=HOST, login=None):  # fmt: skip
    port = lab.client_port()
    service = protocol + "s" if security == "implicit" else protocol
    scheme = protocol + ("s" if security == "implicit" else "")
    command = ["curl", "-v", "-s", "-S", "-k", "--local-port", str(port), "--max-time", "30",
               f"{scheme}://{host}:{lab.ports[service]}{path}", *options,
               "--connect-to", f"::{HOST}:"]  # fmt: skip
    session = Session(f"curl {name}", protocol, port, security)
    if auth:
        command += ["-u", login or f"{user}:{USERS[user]}"]
        # With a ticket curl does not say who it is, in the clear.
        named = user if auth != "GSSAPI" else None
        session.auth.append((auth, named, "success") if 0 in codes else (auth, None, "aborted"))
    if security == "starttls":
        command += ["--ssl-reqd"]
    if security != "none" and lab.tls == "rsa":
        command += ["--ciphers", "AES256-SHA256"]
    sessions.append(session)
    if sent is not None:
        with open(lab.path("curl.eml"), "wb") as f:
            f.write(sent)
        command += ["-T", lab.path("curl.eml")]
        session.message(sent)
    out, err = execute(lab, command, keylog=security != "none" and lab.tls == "tls13", codes=codes,
                       ticket=auth == "GSSAPI")  # fmt: skip
    if got is not None:
        session.message(got)
        if out != got:
            raise AssertionError(f"curl {name}: {out[:300]!r} is not what lies in the maildir")
    for line in err.decode(errors="replace").splitlines():
        if not line.startswith("> "):
            continue
        words = line[2:].split(" ")
        if protocol == "imap":
            if len(words) > 1:
                session.verbs.append(" ".join(words[1:3]) if words[1] == "UID" else words[1])
        elif re.fullmatch("[A-Z]{4,12}", words[0]):
            session.verbs.append(words[0])
    # curl takes its leave without a word.
    if 0 in codes and session.verbs[-1] not in ("QUIT", "LOGOUT"):
        session.verbs.append("LOGOUT" if protocol == "imap" else "QUIT")


MBSYNC = """
IMAPAccount server
Host localhost
Port {port}
User dave
Pass "{password}"
SSLType {tls}
{more}

IMAPStore remote
Account server

MaildirStore local
Path {dir}/
Inbox {dir}/INBOX
SubFolders Verbatim

Channel all
Far :remote:
Near :local:
Patterns INBOX
Create Both
Expunge Both
SyncState *
"""


def unmarked(content):
    return re.sub(rb"X-TUID: [^\r\n]*\r?\n", b"", content)


def mbsync(lab, sessions, name, folder, pushed, pulled, starttls=False):
    """Both ways: what lies in `folder` goes up, what the server has comes down."""
    inbox = os.path.join(folder, "INBOX")
    for part in ("cur", "new", "tmp"):
        os.makedirs(os.path.join(inbox, part), exist_ok=True)
    for i, content in enumerate(pushed):
        with open(os.path.join(inbox, "cur", f"17000000{i:02}.{name.split()[0]}.local:2,S"), "wb") as f:
            f.write(content.replace(b"\r\n", b"\n"))
    more = "AuthMechs SCRAM-SHA-256\nCertificateFile " + lab.path("server.crt") if starttls else "AuthMechs LOGIN"
    lab.write("mbsyncrc", MBSYNC.format(port=lab.ports["imap"], password=USERS["dave"], dir=folder, more=more,
                                        tls="STARTTLS" if starttls else "None"), 0o600)  # fmt: skip
    out, err = execute(lab, ["mbsync", "-Dn", "-c", lab.path("mbsyncrc"), "all"])
    session = Session(f"mbsync {name}", "imap", None, "starttls" if starttls else "none")
    said = (out + err).decode(errors="replace")
    for line in said.splitlines():
        found = re.search(r">>> (\d+) ([A-Z]+(?: [A-Z]+)?)", line)
        if found:
            words = found[2].split(" ")
            session.verbs.append(found[2] if words[0] == "UID" else words[0])
    if "COMPRESS" not in session.verbs:
        raise AssertionError("mbsync did not turn on COMPRESS")
    mechanism = re.search(r">>> \d+ AUTHENTICATE (\S+)", said)
    session.auth.append((mechanism[1] if mechanism else "LOGIN-COMMAND", "dave", "success"))
    # mbsync marks what it sends, so what was sent is what the server has.
    stored = {unmarked(s): s for s in lab.stored("dave")}
    for content in pulled + pushed:
        session.message(stored[unmarked(content)])
    arrived = set()
    for part in ("new", "cur"):
        for file in os.listdir(os.path.join(inbox, part)):
            with open(os.path.join(inbox, part, file), "rb") as f:
                arrived.add(unmarked(f.read()))
    missing = [c for c in pulled if unmarked(c).replace(b"\r\n", b"\n") not in arrived]
    if missing:
        raise AssertionError(f"mbsync: {len(missing)} messages did not arrive")
    sessions.append(session)
    return session


def fetchmail(lab, sessions, name, contents, starttls):
    if not shutil.which("fetchmail"):
        return
    inbox = lab.path("fetched")
    tls = "sslproto 'TLS1.2+'" if starttls else "sslproto ''"
    lab.write("fetchmailrc",
              f"poll {HOST} service {lab.ports['pop3']} protocol pop3 user 'paul' password '{USERS['paul']}'"
              f" {tls} no sslcertck keep fetchall mda '/bin/cat >> {inbox}'\n", 0o600)  # fmt: skip
    out, err = execute(lab, ["fetchmail", "-v", "-v", "-f", lab.path("fetchmailrc"), "-i", lab.path("fetchids"),
                             "--pidfile", lab.path("fetchmail.pid")])  # fmt: skip
    session = Session(f"fetchmail {name}", "pop3", None, "starttls" if starttls else "none")
    for line in (out + err).decode(errors="replace").splitlines():
        found = re.search(r"POP3> ([A-Z]+)", line)
        if found:
            session.verbs.append(found[1])
    mechanism = re.search(r"POP3> AUTH (\S+)", (out + err).decode(errors="replace"))
    session.auth.append((mechanism[1] if mechanism else "USER", "paul", "success"))
    for content in contents:
        session.message(content)
    sessions.append(session)


def run(lab, sessions, seeds):
    swaks(lab, sessions, "plain")
    swaks(lab, sessions, "pipelined", "--pipeline")
    swaks(lab, sessions, "PLAIN", auth="PLAIN")
    swaks(lab, sessions, "LOGIN", auth="LOGIN")
    swaks(lab, sessions, "CRAM-MD5", auth="CRAM-MD5")
    swaks(lab, sessions, "CRAM-MD5 wrong", auth="CRAM-MD5", wrong=True)
    swaks(lab, sessions, "DIGEST-MD5", auth="DIGEST-MD5")
    if lab.tls == "rsa":  # swaks writes no key log
        swaks(lab, sessions, "STARTTLS", "--tls", auth="PLAIN", security="starttls")
        swaks(lab, sessions, "implicit TLS", "--tls-on-connect", auth="CRAM-MD5", security="implicit")
    inbox, mail = seeds["ivan"], letters.letter("from curl", b".dot\r\n..\r\n" * 40)
    envelope = ("--mail-from", "alice@example.test", "--mail-rcpt", "bob@example.test")
    for security in ("none", "starttls", "implicit"):
        curl(lab, sessions, f"smtp {security}", "smtp", "/curl.test", *envelope, "--login-options", "AUTH=PLAIN",
             security=security, auth="PLAIN", sent=mail)  # fmt: skip
        curl(lab, sessions, f"imap fetch {security}", "imap", "/INBOX;UID=2", "--login-options", "AUTH=LOGIN",
             security=security, auth="LOGIN", got=inbox[1])  # fmt: skip
        curl(lab, sessions, f"imap append {security}", "imap", "/INBOX", "--login-options", "AUTH=CRAM-MD5",
             security=security, auth="CRAM-MD5", user="alice", sent=mail)  # fmt: skip
        curl(lab, sessions, f"pop3 {security}", "pop3", "/2", "--login-options", "AUTH=+APOP" if security == "none"
             else "AUTH=PLAIN", security=security, auth="APOP" if security == "none" else "PLAIN", user="paul",
             got=seeds["paul"][1])  # fmt: skip
    curl(lab, sessions, "pop3 list", "pop3", "/", "--login-options", "AUTH=LOGIN", auth="LOGIN", user="paul")
    # Dovecot names no realm, and curl cancels.
    curl(lab, sessions, "pop3 cancelled", "pop3", "/", "--login-options", "AUTH=DIGEST-MD5", auth="DIGEST-MD5",
         user="paul", codes=(67,))  # fmt: skip
    folder = lab.path("mbsync")
    mbsync(lab, sessions, "COMPRESS", folder, letters.numbered(3, "pushed"), seeds["dave"])
    if lab.tls == "rsa":  # mbsync writes no key log
        mbsync(lab, sessions, "STARTTLS COMPRESS", folder + "-tls", [letters.DOTS, letters.ATTACHED],
               letters.numbered(3, "pushed") + seeds["dave"], starttls=True)  # fmt: skip
    fetchmail(lab, sessions, "plain", seeds["paul"], False)
    if lab.tls == "rsa":
        fetchmail(lab, sessions, "STLS", seeds["paul"], True)
