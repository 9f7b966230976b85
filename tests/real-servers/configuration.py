"""What the servers are told; `{name}` is filled in by `servers.py`."""

DOVECOT = """
base_dir = {dir}/run
state_dir = {dir}/state
instance_name = mailcap-test
log_path = {dir}/dovecot.log
protocols = imap pop3 lmtp sieve
listen = 127.0.0.1
auth_mechanisms = plain login cram-md5 digest-md5 apop scram-sha-1 scram-sha-256 xoauth2 oauthbearer anonymous external {gssapi}
auth_gssapi_hostname = "$ALL"
auth_krb5_keytab = {dir}/keytab
auth_ssl_username_from_cert = yes
ssl_cert_username_field = commonName
ssl_verify_client_cert = yes
ssl_ca = <{dir}/client.crt
ssl_require_crl = no
import_environment = TZ OPENSSL_CONF KRB5_CONFIG KRB5RCACHENAME
auth_failure_delay = 0
auth_username_format = %n
disable_plaintext_auth = no
login_trusted_networks =
login_log_format_elements = user=<%u> method=%m rport=%b
ssl = yes
ssl_cert = <{dir}/server.crt
ssl_key = <{dir}/server.key
{dovecot_tls}
mail_location = maildir:{dir}/mail/%n
mail_save_crlf = yes
first_valid_uid = 1
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {dir}/oauth2.conf
}}
passdb {{
  driver = static
  mechanisms = external
  args = nopassword=y
}}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {dir}/users
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={dir}/home/%n
}}
namespace inbox {{
  inbox = yes
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = {pop3s}
    ssl = yes
  }}
}}
service managesieve-login {{
  inet_listener sieve {{
    port = {sieve}
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp}
  }}
}}
service auth {{
  unix_listener {dir}/sasl {{
    mode = 0666
  }}
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
mail_plugins = zlib
protocol imap {{
  mail_plugins = zlib imap_zlib
  mail_max_userip_connections = 100
}}
"""

# Tokens are judged by the key that signed them.
OAUTH2 = """
introspection_mode = local
local_validation_key_dict = fs:posix:prefix={dir}/token-keys/
username_attribute = sub
"""

POSTFIX = """
compatibility_level = 3.6
queue_directory = {dir}/queue
data_directory = {dir}/data
mail_owner = postfix
setgid_group = postdrop
maillog_file = {dir}/mail.log
maillog_file_prefixes = {dir}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mail.example.test
mydestination =
mynetworks = 127.0.0.2/32
alias_maps =
local_recipient_maps =
virtual_mailbox_domains = example.test
virtual_mailbox_maps = inline:{{ {mailboxes} }}
virtual_transport = lmtp:inet:127.0.0.1:{lmtp}
lmtp_destination_recipient_limit = 20
default_transport = error:no outside here
smtpd_client_port_logging = yes
smtpd_error_sleep_time = 0
smtpd_forbid_bare_newline = no
fast_flush_domains = example.test
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {dir}/sasl
smtpd_sasl_security_options =
smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination
smtpd_recipient_restrictions =
header_checks = regexp:{dir}/header_checks
notify_classes =
smtpd_tls_security_level = may
smtpd_tls_cert_file = {dir}/server.crt
smtpd_tls_key_file = {dir}/server.key
smtpd_tls_loglevel = 1
{postfix_tls}
"""

MASTER = """
127.0.0.1:{smtp} inet n - n - - smtpd
127.0.0.1:{smtps} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""

OPENSSL = """
openssl_conf = init
[init]
ssl_conf = ssl
[ssl]
system_default = default
[default]
MaxProtocol = TLSv1.2
"""

TLS = {
    # RSA key exchange: the server's key opens it.
    "rsa": {
        # Dovecot 2.3 has no setting against TLS 1.3; OpenSSL's own configuration has.
        "dovecot_tls": "ssl_min_protocol = TLSv1.2\nssl_cipher_list = AES256-SHA256:AES128-GCM-SHA256",
        "postfix_tls": "smtpd_tls_protocols = TLSv1.2\nsmtpd_tls_mandatory_protocols = TLSv1.2\n"
        "smtpd_tls_ciphers = medium\nsmtpd_tls_mandatory_ciphers = medium\n"
        "tls_medium_cipherlist = AES256-SHA256:AES128-GCM-SHA256",
    },
    # Only what a client logs opens it.
    "tls13": {
        "dovecot_tls": "ssl_min_protocol = TLSv1.3",
        "postfix_tls": "smtpd_tls_protocols = TLSv1.3\nsmtpd_tls_mandatory_protocols = TLSv1.3",
    },
}
