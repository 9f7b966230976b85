//! The columns of each table, for Parquet: the fields of the JSON objects under their names.
//!
//! What the fields hold is said once, by `output::json`; here are only their types. A test reads every object into these
//! columns, and finds each column filled.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, Schema, TimeUnit};

use super::Table;

/// Columns that are made of one field; of text it is two.
type Columns = Vec<Field>;

fn field(name: &str, of: DataType) -> Columns {
    vec![Field::new(name, of, true)]
}

fn string(name: &str) -> Columns {
    field(name, DataType::Utf8)
}

fn number(name: &str) -> Columns {
    field(name, DataType::Int64)
}

fn boolean(name: &str) -> Columns {
    field(name, DataType::Boolean)
}

fn seconds(name: &str) -> Columns {
    field(name, DataType::Float64)
}

fn time(name: &str) -> Columns {
    field(name, DataType::Timestamp(TimeUnit::Nanosecond, Some("+00:00".into())))
}

fn list(name: &str, of: DataType) -> Columns {
    field(name, DataType::List(Arc::new(Field::new("item", of, true))))
}

fn strings(name: &str) -> Columns {
    list(name, DataType::Utf8)
}

/// Text of the wire: beside it the bytes in base64, null where they are UTF-8.
fn text(name: &str) -> Columns {
    [string(name), string(&format!("{name}_b64"))].concat()
}

fn texts(name: &str) -> Columns {
    [strings(name), strings(&format!("{name}_b64"))].concat()
}

fn of(fields: Columns) -> DataType {
    DataType::Struct(Fields::from(fields))
}

fn object(name: &str, fields: Columns) -> Columns {
    field(name, of(fields))
}

fn objects(name: &str, fields: Columns) -> Columns {
    list(name, of(fields))
}

/// What every object has but `service`; `session` calls the first of them `id`.
fn base(id: &str) -> Columns {
    [
        string("type"),
        string("input"),
        number(id),
        number("seq"),
        time("ts"),
        number("frame"),
        number("first_frame"),
        string("file"),
    ]
    .concat()
}

fn said() -> Columns {
    [string("dir"), boolean("tls")].concat()
}

fn endpoint() -> Columns {
    [string("ip"), number("port")].concat()
}

fn diagnostic() -> Columns {
    [string("code"), string("severity"), string("detail")].concat()
}

fn certificate() -> Columns {
    [string("subject"), string("issuer"), time("not_before"), time("not_after"), string("sha256"), string("key")]
        .concat()
}

fn handshake() -> Columns {
    [
        number("handshake"),
        string("version"),
        string("suite"),
        text("sni"),
        text("alpn"),
        string("client_random"),
        object("certificate", certificate()),
        objects("chain", certificate()),
        object("client_certificate", certificate()),
        string("resumed"),
        boolean("extended_master_secret"),
        boolean("encrypt_then_mac"),
        boolean("completed"),
        string("decrypted"),
        string("secret"),
        string("key"),
        string("reason"),
        object("records", [number("decrypted"), number("undecrypted")].concat()),
        number("undecrypted_bytes"),
        objects("alerts", [string("dir"), string("description"), boolean("fatal"), number("frame")].concat()),
        object("frames", [number("first"), number("last")].concat()),
        strings("offered"),
        strings("steps"),
    ]
    .concat()
}

fn session() -> Columns {
    [
        base("id"),
        time("start"),
        time("end"),
        object("client", endpoint()),
        object("server", endpoint()),
        object("proxy_client", endpoint()),
        string("protocol"),
        string("security"),
        objects("tls", handshake()),
        text("banner"),
        text("helo"),
        text("user"),
        number("commands"),
        number("messages"),
        object("bytes", [number("client"), number("server")].concat()),
        object("gaps", [number("count"), number("bytes")].concat()),
        number("undecrypted_bytes"),
        boolean("complete"),
        string("outcome"),
        text("last_error"),
        seconds("slowest_reply"),
        string("end_reason"),
        string("ended_by"),
        object("frames", [number("first"), number("last"), number("count")].concat()),
        strings("files"),
        string("community_id"),
        number("vlan"),
        string("tunnel"),
        number("interface"),
        objects("diagnostics", diagnostic()),
    ]
    .concat()
}

fn command() -> Columns {
    [
        base("session"),
        said(),
        text("verb"),
        text("args"),
        text("tag"),
        boolean("injected"),
        boolean("complete"),
        boolean("assumed"),
    ]
    .concat()
}

fn reply() -> Columns {
    [
        base("session"),
        said(),
        number("code"),
        text("status"),
        text("enhanced"),
        text("tag"),
        number("command"),
        text("text"),
        texts("lines"),
        seconds("latency"),
        boolean("complete"),
        boolean("assumed"),
    ]
    .concat()
}

fn auth() -> Columns {
    [
        base("session"),
        said(),
        text("mechanism"),
        text("user"),
        text("authzid"),
        text("secret"),
        string("outcome"),
        boolean("verified"),
        boolean("assumed"),
    ]
    .concat()
}

fn message() -> Columns {
    [
        base("session"),
        said(),
        number("ordinal"),
        string("protocol"),
        string("direction"),
        number("transaction"),
        text("mail_from"),
        text("mail_params"),
        objects("rcpt_to", [text("address"), boolean("accepted"), number("code"), text("text")].concat()),
        text("queue_id"),
        text("status"),
        string("outcome"),
        text("mailbox"),
        number("uidvalidity"),
        number("uid"),
        number("seqno"),
        texts("flags"),
        text("internaldate"),
        text("section"),
        number("number"),
        text("uidl"),
        string("from"),
        strings("to"),
        string("subject"),
        string("message_id"),
        time("date"),
        number("size"),
        string("sha256"),
        boolean("complete"),
        string("part"),
        boolean("joined"),
        objects("attachments", [string("filename"), string("content_type"), number("size"), string("sha256")].concat()),
        boolean("assumed"),
        string("path"),
    ]
    .concat()
}

fn script() -> Columns {
    [
        base("session"),
        string("dir"),
        boolean("tls"),
        number("command"),
        text("verb"),
        text("name"),
        number("size"),
        string("sha256"),
        boolean("complete"),
        string("outcome"),
        text("status"),
        text("text"),
        boolean("assumed"),
    ]
    .concat()
}

fn service() -> Columns {
    [
        string("type"),
        string("input"),
        string("ip"),
        number("port"),
        string("state"),
        string("protocol"),
        text("banner"),
        string("security"),
        texts("capabilities"),
        texts("capabilities_tls"),
        texts("auth"),
        texts("auth_tls"),
        boolean("plaintext_auth"),
        strings("tls_versions"),
        strings("suites"),
        objects("certificates", certificate()),
        number("sessions"),
        time("first"),
        time("last"),
    ]
    .concat()
}

/// A table's columns, without `day`, which the folder's name has.
pub fn schema(table: Table) -> Schema {
    Schema::new(match table {
        Table::Sessions => session(),
        Table::Commands => command(),
        Table::Replies => reply(),
        Table::Auth => auth(),
        Table::Tls => [base("session"), handshake()].concat(),
        Table::Messages => message(),
        Table::Scripts => script(),
        Table::Gaps => [base("session"), string("dir"), number("offset"), number("bytes"), string("cause")].concat(),
        Table::Diagnostics => [base("session"), diagnostic()].concat(),
        Table::Services => service(),
    })
}

/// A table's columns as `docs/output.md` lists them: `name type, name type…`.
pub fn describe(table: Table) -> String {
    names(schema(table).fields())
}

fn names(fields: &Fields) -> String {
    let all: Vec<String> = fields.iter().map(|f| format!("{} {}", f.name(), word(f.data_type()))).collect();
    all.join(", ")
}

fn word(of: &DataType) -> String {
    match of {
        DataType::Utf8 => "string".to_owned(),
        DataType::Int64 => "int64".to_owned(),
        DataType::Boolean => "bool".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Timestamp(..) => "timestamp".to_owned(),
        DataType::List(item) => format!("list<{}>", word(item.data_type())),
        DataType::Struct(fields) => format!("struct<{}>", names(fields)),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
