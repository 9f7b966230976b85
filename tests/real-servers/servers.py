"""Dovecot, Postfix and tcpdump with a configuration of their own, in a temporary folder, on loopback."""

import base64
import contextlib
import grp
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import time

from configuration import DOVECOT, MASTER, OAUTH2, OPENSSL, POSTFIX, TLS

HOST = "127.0.0.1"
USERS = {name: f"pw-{name} 7=x" for name in ("alice", "bob", "carol", "dave", "erin", "gwen", "ivan", "paul")}
SERVICES = ("smtp", "smtps", "imap", "imaps", "pop3", "pop3s", "lmtp", "sieve")


class SetupError(Exception):
    pass


def wait_for(what, test, seconds=30):
    for _ in range(seconds * 20):
        if test():
            return
        time.sleep(0.05)
    raise SetupError(f"waited {seconds} s in vain for {what}")


def free_ports(count, low, high):
    """`count` ports in `low..high` on which nothing listens; each is tried once."""
    found = []
    for port in range(low, high):
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind((HOST, port))
            except OSError:
                continue
            found.append(port)
        if len(found) == count:
            return found
    raise SetupError("no free ports")


class Lab:
    """Both servers and the capture of one round."""

    def __init__(self, folder, tls, low):
        self.dir = folder
        self.tls = tls
        self.ports = dict(zip(SERVICES, free_ports(len(SERVICES), low, low + 200)))
        self.client_ports = iter(range(low + 200, low + 1000))
        self.keylog = os.path.join(folder, "clients.keylog")
        self.key = os.path.join(folder, "server.key")
        self.capture = os.path.join(folder, "loopback.pcap")
        self.processes = []
        self.kerberos = None
        self.token_key = b""
        # What must not be shown, besides the passwords.
        self.secrets = []

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def client_port(self):
        """A port for a client that can be told which; never given twice."""
        for port in self.client_ports:
            with socket.socket() as s:
                try:
                    s.bind((HOST, port))
                    return port
                except OSError:
                    continue
        raise SetupError("no free ports")

    @contextlib.contextmanager
    def own_client_ports(self):
        """Whatever connects from this program does so from a port of its own, so that a port means one session."""
        connect = socket.create_connection

        def from_own_port(address, timeout=30, source_address=None):
            return connect(address, timeout, source_address or (HOST, self.client_port()))

        socket.create_connection = from_own_port
        try:
            yield
        finally:
            socket.create_connection = connect

    def write(self, name, text, mode=0o644):
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(self.path(name), mode)

    def start(self, maildirs):
        """`maildirs`: user → messages that lie in the INBOX from the start, in order."""
        postfix = pwd.getpwnam("postfix")
        nobody = pwd.getpwnam("nobody")
        drop = grp.getgrnam("postdrop").gr_gid
        os.chmod(self.dir, 0o755)
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-keyout", self.key,
             "-out", self.path("server.crt"), "-subj", "/CN=mail.example.test",
             "-addext", "subjectAltName=DNS:mail.example.test,DNS:localhost,IP:127.0.0.1"],
            check=True, capture_output=True)  # fmt: skip
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=gwen",
             "-keyout", self.path("client.key"), "-out", self.path("client.crt")],
            check=True, capture_output=True)  # fmt: skip
        self.write("oauth2.conf", OAUTH2.format(dir=self.dir))
        os.makedirs(self.path("token-keys", "default", "HS256"))
        self.write("token-keys/default/HS256/default", base64.b64encode(self.token_key).decode())
        self.write("users", "".join(f"{u}:{{PLAIN}}{p}::::::\n" for u, p in USERS.items()))
        values = dict(self.ports, dir=self.dir, uid=nobody.pw_uid, gid=nobody.pw_gid, **TLS[self.tls])
        values["gssapi"] = "gssapi" if self.kerberos else ""
        values["mailboxes"] = ", ".join(f"{{ {u}@example.test = x }}" for u in USERS)
        self.write("dovecot.conf", DOVECOT.format(**values))
        self.write("main.cf", POSTFIX.format(**values))
        self.write("header_checks", "/^X-Refuse: / REJECT refused as asked\n")
        self.write("master.cf", MASTER.format(**values))
        open(self.keylog, "w").close()
        for user in (*USERS, "anonymous"):
            self.maildir(user, maildirs.get(user, []), nobody)
        for name in ("queue", "run", "state"):
            os.mkdir(self.path(name))
        os.mkdir(self.path("data"), 0o700)
        os.chown(self.path("data"), postfix.pw_uid, postfix.pw_gid)
        for name in ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "maildrop",
                     "pid", "private", "public", "saved", "trace"):  # fmt: skip
            os.mkdir(self.path("queue", name), 0o700)
            owner = 0 if name == "pid" else postfix.pw_uid
            group = drop if name in ("maildrop", "public") else 0
            os.chown(self.path("queue", name), owner, group)
            os.chmod(self.path("queue", name), {"maildrop": 0o730, "public": 0o710, "pid": 0o755}.get(name, 0o700))
        self.start_capture()
        self.write("openssl.cnf", OPENSSL)
        more = {"OPENSSL_CONF": self.path("openssl.cnf")} if self.tls == "rsa" else {}
        more.update(self.kerberos.environment if self.kerberos else {})
        self.spawn("dovecot", ["dovecot", "-F", "-c", self.path("dovecot.conf")], more)
        conf = subprocess.run(["postconf", "-c", self.dir, "-h", "daemon_directory"], check=True, capture_output=True)
        master = os.path.join(conf.stdout.decode().strip(), "master")
        self.spawn("postfix", [master, "-c", self.dir, "-d"])
        for service, port in self.ports.items():
            wait_for(f"{service} on port {port}", lambda port=port: self.listens(port))

    def maildir(self, user, messages, owner):
        for part in ("cur", "new", "tmp"):
            os.makedirs(self.path("mail", user, part))
        os.makedirs(self.path("home", user))
        for i, content in enumerate(messages):
            with open(self.path("mail", user, "cur", f"16000000{i:02}.seed.test:2,"), "wb") as f:
                f.write(content)
        for base in ("mail", "home"):
            os.chmod(self.path(base), 0o755)
            for folder, _, files in os.walk(self.path(base, user)):
                for name in [folder] + [os.path.join(folder, f) for f in files]:
                    os.chown(name, owner.pw_uid, owner.pw_gid)

    def listens(self, port):
        """Looked up, not tried: a connection would be one more session in the capture."""
        with open("/proc/net/tcp", encoding="ascii") as f:
            return any(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A" for line in list(f)[1:])

    def spawn(self, name, command, environment=()):
        log = open(self.path(f"{name}.out"), "wb")
        # Postfix ends its process group with itself: it must not be ours.
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                                   env={**os.environ, **dict(environment)})  # fmt: skip
        self.processes.append((name, process))

    def start_capture(self):
        ports = sorted(self.ports.values())
        expression = f"host 127.0.0.1 and tcp and portrange {ports[0]}-{ports[-1]}"
        self.spawn("tcpdump", ["tcpdump", "-i", "lo", "-n", "-U", "-B", "65536", "-s", "0", "--immediate-mode",
                               "-Z", "root", "-w", self.capture, expression])  # fmt: skip
        wait_for("tcpdump", lambda: b"listening on" in open(self.path("tcpdump.out"), "rb").read())

    def stop(self):
        """Ends what was started here, by its process id; the capture last, so that it holds the last FIN."""
        for name, process in sorted(self.processes, key=lambda p: p[0] == "tcpdump"):
            if name == "tcpdump":
                time.sleep(0.5)
            if process.poll() is None:
                process.send_signal(signal.SIGINT if name == "tcpdump" else signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes = []
        dropped = re.search(r"(\d+) packets? dropped by kernel", self.log("tcpdump.out"))
        if not dropped or dropped[1] != "0":
            raise SetupError(f"tcpdump lost packets: {self.log('tcpdump.out')}")

    def stored(self, user):
        """Every message in every mailbox of `user`, as the server stored it."""
        contents = []
        for folder, _, files in os.walk(self.path("mail", user)):
            if os.path.basename(folder) in ("cur", "new"):
                for name in files:
                    with open(os.path.join(folder, name), "rb") as f:
                        contents.append(f.read())
        return contents

    def log(self, name):
        with open(self.path(name), encoding="utf-8", errors="replace") as f:
            return f.read()

    def remove(self):
        shutil.rmtree(self.dir, ignore_errors=True)
