"""Mechanisms that need no password of the protocol's own: tokens, tickets, certificates, nothing."""

import base64
import glob
import hashlib
import hmac
import json
import os
import re
import shutil
import subprocess
import time

import letters
import programs
from record import Session
from sasl import Client
from servers import HOST, free_ports, wait_for

USER = "gwen"
REALM = "EXAMPLE.TEST"
SERVER = "mail.example.test"
TOKEN_KEY = b"the key that signs tokens, known to server and issuer"


def unpadded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def token(key=TOKEN_KEY):
    """A JSON Web Token (RFC 7519) of the user's."""
    now = int(time.time())
    claims = {"sub": USER, "iat": now, "nbf": now, "exp": now + 3600, "iss": "test"}
    parts = [unpadded(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims)]
    return b".".join([*parts, unpadded(hmac.digest(key, b".".join(parts), hashlib.sha256))])


def xoauth2(bearer):
    yield b"user=%s\1auth=Bearer %s\1\1" % (USER.encode(), bearer)
    yield b""


def oauthbearer(bearer):
    """RFC 7628."""
    yield b"n,a=%s,\1host=%s\1port=143\1auth=Bearer %s\1\1" % (USER.encode(), SERVER.encode(), bearer)
    yield b"\1"


def external(authzid):
    yield authzid


def anonymous(trace):
    yield trace


def tokens(lab, sessions):
    right, wrong = token(), token(b"another key")
    lab.secrets += [right, wrong]
    for protocol in ("smtp", "imap", "pop3", "sieve"):
        client = Client(lab, sessions, f"{protocol} tokens", protocol)
        for mechanism, exchange in (("XOAUTH2", xoauth2), ("OAUTHBEARER", oauthbearer)):
            for initial in (True,) if protocol == "sieve" else (False, True):
                client.play(mechanism, exchange(wrong), USER, "failure", initial)
        client.play("OAUTHBEARER", oauthbearer(right), USER, "success", True)
        client.leave()
        client = Client(lab, sessions, f"{protocol} token", protocol, tls=True)
        client.play("XOAUTH2", xoauth2(right), USER, "success", True)
        client.leave()


def nobody(lab, sessions):
    # Dovecot keeps no scripts of nobody.
    for protocol in ("smtp", "imap", "pop3"):
        client = Client(lab, sessions, f"{protocol} ANONYMOUS", protocol)
        # The trace is whatever the client likes (RFC 4505): no identity.
        client.play("ANONYMOUS", anonymous(b"guest@raw.test"), None, "success", True)
        client.leave()


def certificates(lab, sessions):
    for protocol in ("imap", "pop3", "sieve"):
        for authzid in (b"", USER.encode()):
            client = Client(lab, sessions, f"{protocol} EXTERNAL", protocol, tls=True, certificate=True)
            client.play("EXTERNAL", external(authzid), USER if authzid else None, "success", True)
            client.leave()


def by_curl(lab, sessions, mechanism, seed, **how):
    envelope = ("--mail-from", "alice@example.test", "--mail-rcpt", "bob@example.test")
    mail = letters.letter(f"by {mechanism}", b".dot\r\n" * 3)
    programs.curl(lab, sessions, f"smtp {mechanism}", "smtp", "/curl.test", *envelope, "--login-options",
                  f"AUTH={mechanism}", auth=mechanism, sent=mail, **how)  # fmt: skip
    option = ("--login-options", f"AUTH={mechanism}")
    programs.curl(lab, sessions, f"imap {mechanism}", "imap", "/INBOX;UID=1", *option, auth=mechanism, got=seed, **how)
    programs.curl(lab, sessions, f"pop3 {mechanism}", "pop3", "/1", *option, auth=mechanism, got=seed, **how)


def by_gsasl(lab, sessions, protocol):
    """GNU SASL's client names itself in the clear."""
    said, _ = programs.execute(
        lab, ["gsasl", f"--{protocol}", "-m", "GSSAPI", "-a", USER, "-z", USER, "--service", protocol, "--hostname",
              SERVER, "--connect", f"{HOST}:{lab.ports[protocol]}", "--no-starttls"], ticket=True)  # fmt: skip
    session = Session(f"gsasl {protocol} GSSAPI", protocol, None)
    session.verbs = re.findall(r"(?m)^(?:\. )?(EHLO|CAPABILITY|AUTHENTICATE|AUTH|LOGOUT|QUIT)\b", said.decode())
    session.auth.append(("GSSAPI", USER, "success"))
    sessions.append(session)


class Kerberos:
    """A realm of its own: one server, one user, whose ticket lies in `cache`."""

    @staticmethod
    def missing():
        module = glob.glob("/usr/lib/dovecot/modules/auth/libmech_gssapi.so")
        return [p for p in ("krb5kdc", "kdb5_util", "kadmin.local", "kinit") if not shutil.which(p)] or (
            [] if module else ["dovecot-gssapi"])  # fmt: skip

    def __init__(self, lab):
        self.lab = lab
        port = free_ports(1, 24_000, 24_200)[0]
        lab.write("krb5.conf", f"""
[libdefaults]
default_realm = {REALM}
dns_lookup_kdc = false
dns_canonicalize_hostname = false
rdns = false
[realms]
{REALM} = {{
  kdc = 127.0.0.1:{port}
  database_name = {lab.dir}/principals
  key_stash_file = {lab.dir}/stash
  kdc_listen = 127.0.0.1:{port}
  kdc_tcp_listen = 127.0.0.1:{port}
}}
[domain_realm]
{SERVER} = {REALM}
""")
        self.environment = {
            "KRB5_CONFIG": lab.path("krb5.conf"), "KRB5_KDC_PROFILE": lab.path("krb5.conf"),
            "KRB5CCNAME": "FILE:" + lab.path("tickets"), "KRB5RCACHENAME": "none:",
        }  # fmt: skip
        self.call("kdb5_util", "create", "-s", "-r", REALM, "-P", "master")
        self.administer(f"addprinc -pw secret {USER}")
        for service in ("smtp", "imap", "pop", "sieve"):
            self.administer(f"addprinc -randkey {service}/{SERVER}")
            self.administer(f"ktadd -k {lab.path('keytab')} {service}/{SERVER}")
        os.chmod(lab.path("keytab"), 0o644)
        lab.spawn("krb5kdc", ["krb5kdc", "-n", "-P", lab.path("krb5kdc.pid")], self.environment)
        wait_for("krb5kdc", lambda: lab.listens(port))
        self.call("kinit", USER, said=b"secret\n")

    def call(self, *command, said=b""):
        subprocess.run(command, env={**os.environ, **self.environment}, input=said, check=True, capture_output=True)

    def administer(self, request):
        self.call("kadmin.local", "-r", REALM, "-q", request)


def run(lab, sessions, seed):
    if lab.kerberos:
        by_curl(lab, sessions, "GSSAPI", seed, user=USER, host=SERVER, login=f"{USER}@{REALM}:")
        if shutil.which("gsasl"):
            by_gsasl(lab, sessions, "imap")
    else:
        print(f"  GSSAPI is left out: {', '.join(Kerberos.missing())} not installed")
    with lab.own_client_ports():
        tokens(lab, sessions)
        nobody(lab, sessions)
        certificates(lab, sessions)
