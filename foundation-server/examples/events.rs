//! All events of the workspace, as JSON: what `cargo xtask events` makes its table of.

use foundation_server::catalogue;
use foundation_telemetry::{EventName, EventSpec, FieldSpec};
use serde_json::{Value, json};

fn fields(fields: &[FieldSpec]) -> Value {
    let field = |field: &FieldSpec| json!({ "name": field.name, "unit": field.unit, "when": field.when });
    fields.iter().map(field).collect()
}

fn event((name, spec): (EventName, &EventSpec)) -> Value {
    json!({
        "name": name.words(),
        "what": spec.what,
        "measurements": fields(spec.measurements),
        "metadata": fields(spec.metadata),
        "more": spec.more,
    })
}

#[expect(clippy::print_stdout, reason = "it is a program")]
fn main() {
    let declared = catalogue().into_iter().filter_map(|name| Some((name, name.spec()?)));
    println!("{:#}", declared.map(event).collect::<Value>());
}
